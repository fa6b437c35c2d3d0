"""The queue for the models: one study at a time, in the order of arrival."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event

import streamlit as st

POLL_SECONDS = 0.5


@contextmanager
def slot(while_waiting: Callable[[int], None]) -> Iterator[None]:
    """Waits until the models are free, and holds them for the body.

    The models use every core. Two studies at once would slow down every reader who only changes
    slices (`benchmarks/twenty_readers.py`).

    Args:
        while_waiting: called every `POLL_SECONDS` with the number of studies ahead in the queue. It may
            raise, as Streamlit does when the browser has left the page: the wait then ends.
    """
    queue, ticket = _queue(), Event()
    queue.append(ticket)
    try:
        while queue[0] is not ticket:
            while_waiting(queue.index(ticket))
            ticket.wait(POLL_SECONDS)
        yield
    finally:
        queue.remove(ticket)
        with suppress(IndexError):  # the queue is empty
            queue[0].set()


@st.cache_resource(show_spinner=False, max_entries=1)
def _queue() -> deque[Event]:
    """The studies of all sessions of this process; the first holds the models."""
    return deque()
