"""What the commands share: how one is added, who asks, and how progress is shown."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable

from hemodetect import RESEARCH_USE_ONLY
from hemodetect.storage.people import Person, local_person

Subparsers = argparse._SubParsersAction
"""What `add_subparsers` gives."""


def command(
    subparsers: Subparsers,
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
) -> argparse.ArgumentParser:
    """Adds the command `name`; `run` takes its options and gives the exit status."""
    added = subparsers.add_parser(name, help=summary, description=summary, epilog=RESEARCH_USE_ONLY)
    added.set_defaults(run=run)
    return added


def positive(text: str) -> int:
    """A whole number from 1 on; raises `ArgumentTypeError` for any other."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def acting_person(options: argparse.Namespace) -> Person:
    """Whoever has a shell on this machine may do everything."""
    return local_person(options.who or getpass.getuser())


def counter(doing: str) -> Callable[[int, int], None]:
    """Takes (done, total) and shows them on one line of a terminal; silent where stderr is not one."""

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty() and (done % 50 == 0 or done == total):
            end = "\n" if done == total else ""
            print(f"\r{doing} {done}/{total}", end=end, file=sys.stderr, flush=True)

    return show
