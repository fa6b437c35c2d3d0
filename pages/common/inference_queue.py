"""Studies are given to the models one after the other, in the order they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event

import streamlit as st

LOOK_UP_SECONDS = 0.5


@contextmanager
def turn(meanwhile: Callable[[int], None]) -> Iterator[None]:
    """Waits until the models are free: they use every core, and side by side they would keep all who
    only turn slices waiting (`benchmarks/twenty_readers.py`).

    Args:
        meanwhile: called every `LOOK_UP_SECONDS` with the number of studies before this one. It may
            raise, as Streamlit does where nobody waits for the page any more: that ends the wait.
    """
    line, own = _line(), Event()
    line.append(own)
    try:
        while line[0] is not own:
            meanwhile(line.index(own))
            own.wait(LOOK_UP_SECONDS)
        yield
    finally:
        line.remove(own)
        with suppress(IndexError):  # nobody waits
            line[0].set()


@st.cache_resource(show_spinner=False, max_entries=1)
def _line() -> deque[Event]:
    """Who waits, the one whose turn it is first; of the whole process."""
    return deque()
