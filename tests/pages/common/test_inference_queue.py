"""Who stands in line for the models, in which order, and who leaves it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from pages.common.inference_queue import _line, turn


class Gone(Exception):
    """What Streamlit raises where the run of a page is to end."""


def leave(_: int) -> None:
    raise Gone


def nothing(_: int) -> None:
    """Waits on."""


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_one_after_the_other_in_the_order_they_came() -> None:
    came: list[int] = []
    told: dict[int, list[int]] = {}

    def study(number: int) -> None:
        with turn(told.setdefault(number, []).append):
            came.append(number)

    threads = [threading.Thread(target=study, args=(number,)) for number in range(5)]
    with turn(nothing):
        for number, thread in enumerate(threads):
            thread.start()
            until(lambda number=number: len(_line()) == number + 2)
        until(lambda: all(told.get(number) for number in range(5)))
        assert came == []
    for thread in threads:
        thread.join(20)
    assert came == [0, 1, 2, 3, 4]
    assert [told[number][0] for number in range(5)] == [1, 2, 3, 4, 5]
    assert not _line()


def test_who_leaves_the_line_holds_up_nobody() -> None:
    with turn(nothing):
        with pytest.raises(Gone), turn(leave):
            pytest.fail("it was not this one's turn")
        assert len(_line()) == 1
    with pytest.raises(Gone), turn(nothing):
        raise Gone  # a page that ends while its study is read
    with turn(leave):  # nobody is before it
        assert len(_line()) == 1
    assert not _line()
