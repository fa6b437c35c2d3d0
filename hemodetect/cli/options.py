"""Shared by all commands: adding a command, common option types, progress on the terminal."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable

from hemodetect import RESEARCH_USE_ONLY
from hemodetect.storage.people import Person, local_person

Subparsers = argparse._SubParsersAction
"""Type of the result of `add_subparsers`."""


def command(
    subparsers: Subparsers,
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
) -> argparse.ArgumentParser:
    """Adds the command `name`; `run` takes its options and returns the exit status."""
    parser = subparsers.add_parser(
        name, help=summary, description=summary, epilog=RESEARCH_USE_ONLY
    )
    parser.set_defaults(run=run)
    return parser


def positive(text: str) -> int:
    """The whole number in `text`, at least 1; raises `ArgumentTypeError` for a smaller one."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def acting_person(options: argparse.Namespace) -> Person:
    """The person of --who, or the user of this machine; somebody with a shell has every role."""
    return local_person(options.who or getpass.getuser())


def counter(activity: str) -> Callable[[int, int], None]:
    """A callback for (done, total) that shows them on one line, if stderr is a terminal."""

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty() and (done % 50 == 0 or done == total):
            end = "\n" if done == total else ""
            print(f"\r{activity} {done}/{total}", end=end, file=sys.stderr, flush=True)

    return show
