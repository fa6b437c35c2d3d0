"""Commands about the way from the PACS and back: receive, judge and worklist."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from dataclasses import asdict
from threading import Event
from types import FrameType

from hemodetect.cli.options import Subparsers, command


def add_commands(subparsers: Subparsers) -> None:
    """Adds the commands receive, judge and worklist."""
    receive_parser = command(
        subparsers, "receive", receive, "receive studies from scanners and the PACS (C-STORE)"
    )
    receive_parser.add_argument(
        "--address", default="", help="of this machine to listen on (default: all)"
    )
    command(
        subparsers, "judge", judge, "let the models read what was received, and send what is due"
    )
    listing = command(subparsers, "worklist", worklist, "studies in the order to read them")
    listing.add_argument("--json", action="store_true", help="JSON, one study a line")


def receive(options: argparse.Namespace) -> int:
    """Receives until it is stopped."""
    from hemodetect.pacs.receiver import Receiver
    from hemodetect.settings import settings
    from hemodetect.storage.database import engine

    _log()
    ended = _until_stopped()
    engine()  # says now, and not to the first sender, that the database cannot be used
    receiver = Receiver()
    receiver.start(options.address)
    secured = "with TLS" if settings().receive_certificate else "without TLS"
    print(f"{settings().ae_title} listens on port {receiver.port}, {secured}.", flush=True)
    ended.wait()
    receiver.stop()
    return 0


def judge(options: argparse.Namespace) -> int:
    """Reads with the models until it is stopped."""
    from hemodetect.pacs.judging import judge_worklist

    _log()
    ended = _until_stopped()
    print("The models read what waits in the worklist.", flush=True)
    judge_worklist(lambda: not ended.is_set())
    return 0


def worklist(options: argparse.Namespace) -> int:
    """Lists the studies that nobody has read yet, and those that somebody has, in the order to read."""
    from hemodetect.pacs.worklist import entries

    for entry in entries():
        if options.json:
            print(json.dumps(asdict(entry), default=str))
            continue
        score = "   - " if entry.score is None else f"{entry.score:5.0%}"
        person = f"read by {entry.done_by}" if entry.done else entry.taken_by
        about = entry.not_judged_reason or f"{entry.slices or entry.files} slices"
        print(f"{entry.study}  {entry.state:12} {score}  {about}  {person}".rstrip())
    return 0


def _log() -> None:
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr, force=True
    )


def _until_stopped() -> Event:
    """Set when the process is asked to end."""
    ended = Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    return ended
