"""The command about the audit trail."""

from __future__ import annotations

import argparse

from hemodetect.cli.options import Subparsers, command


def add_commands(subparsers: Subparsers) -> None:
    """Adds them to `hemodetect`."""
    trail_parser = command(
        subparsers, "audit-trail", audit_trail, "who did what; verify finds a changed entry"
    )
    trail_parser.add_argument(
        "what", choices=["verify", "list"], help="check the chain, or print it"
    )
    trail_parser.add_argument(
        "--seal",
        metavar="DIGEST",
        help="printed by an earlier verify: shows that nothing was cut off since",
    )


def audit_trail(options: argparse.Namespace) -> int:
    """Print or verify the audit trail; returns the exit status."""
    from hemodetect.storage.audit_trail import entries, verify

    if options.what == "list":
        for entry in entries():
            print(
                entry.number, entry.at, f"{entry.who}:", entry.action, entry.subject, entry.detail
            )
        return 0
    count, digest = verify(options.seal)
    print(f"{count:,} entries, each as it was written.")
    if count:
        print(f"Note down this digest for --seal next time: {digest}")
    return 0
