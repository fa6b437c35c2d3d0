"""Pastes the help text of every command into ``docs/cli.md``.

    python docs/renew_cli.py

The document keeps its own words. After a line ``<!-- help: NAME -->`` stands a code block, and this
script fills that block with what ``hemodetect NAME --help`` prints. A test fails when one is stale.
"""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from hemodetect import cli

DOCUMENT = Path(__file__).with_name("cli.md")
_WIDTH = "100"  # columns; argparse reads the width from COLUMNS
_BLOCK = re.compile(r"(<!-- help: (?P<name>[a-z-]+) -->\n)```text\n.*?```\n", re.DOTALL)


def commands() -> dict[str, argparse.ArgumentParser]:
    """Every command of ``hemodetect`` with its parser, in the order of ``hemodetect --help``."""
    (subparsers,) = (
        action for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    return dict(subparsers.choices)


def help_texts() -> dict[str, str]:
    """What ``hemodetect NAME --help`` prints, by name, at 100 columns whatever the terminal has."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = _WIDTH
    try:
        return {name: parser.format_help() for name, parser in commands().items()}
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def renewed(text: str) -> str:
    """`text` with the help of today in every block.

    Raises:
        ValueError: a command has no block, or a block has no command.
    """
    help_of = help_texts()
    names = [match["name"] for match in _BLOCK.finditer(text)]
    if sorted(names) != sorted(help_of):
        strange = sorted(set(names) ^ set(help_of)) or ["one command, which is there twice"]
        raise ValueError(f"{DOCUMENT.name}: commands and blocks differ in {', '.join(strange)}.")
    return _BLOCK.sub(
        lambda match: f"{match[1]}```text\n{help_of[match['name']].rstrip()}\n```\n", text
    )


if __name__ == "__main__":
    DOCUMENT.write_text(renewed(DOCUMENT.read_text()))
