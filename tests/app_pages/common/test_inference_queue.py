"""The queue for the models: its order, and what happens when a study leaves it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from app_pages.common.inference_queue import _queue, slot


class PageStopped(Exception):
    """What Streamlit raises where the run of a page must end."""


def leave(_: int) -> None:
    raise PageStopped


def wait(_: int) -> None:
    """Keeps its place in the queue."""


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_one_after_the_other_in_the_order_they_came() -> None:
    order: list[int] = []
    numbers_ahead: dict[int, list[int]] = {}

    def study(number: int) -> None:
        with slot(numbers_ahead.setdefault(number, []).append):
            order.append(number)

    threads = [threading.Thread(target=study, args=(number,)) for number in range(5)]
    with slot(wait):
        for number, thread in enumerate(threads):
            thread.start()
            until(lambda number=number: len(_queue()) == number + 2)
        until(lambda: all(numbers_ahead.get(number) for number in range(5)))
        assert order == []
    for thread in threads:
        thread.join(20)
    assert order == [0, 1, 2, 3, 4]
    assert [numbers_ahead[number][0] for number in range(5)] == [1, 2, 3, 4, 5]
    assert not _queue()


def test_a_study_that_leaves_the_queue_holds_up_no_other() -> None:
    with slot(wait):
        with pytest.raises(PageStopped), slot(leave):
            pytest.fail("the models were not free")
        assert len(_queue()) == 1
    with pytest.raises(PageStopped), slot(wait):
        raise PageStopped  # a page that ends while its study is read
    with slot(leave):  # no study is ahead
        assert len(_queue()) == 1
    assert not _queue()
