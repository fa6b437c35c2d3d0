"""The command about the audit trail."""

from __future__ import annotations

import argparse

from hemodetect.cli.options import Subparsers, command


def add_commands(subparsers: Subparsers) -> None:
    """Adds the command audit-trail."""
    trail_parser = command(
        subparsers,
        "audit-trail",
        audit_trail,
        "list the audit trail, or check it for changed entries",
    )
    trail_parser.add_argument(
        "what", choices=["verify", "list"], help="check the chain, or print it"
    )
    trail_parser.add_argument(
        "--seal",
        metavar="DIGEST",
        help="digest printed by an earlier verify: checks that nothing was removed from the end",
    )


def audit_trail(options: argparse.Namespace) -> int:
    """Prints the audit trail, or checks its chain."""
    from hemodetect.storage.audit_trail import entries, verify

    if options.what == "list":
        for entry in entries():
            print(
                entry.number, entry.at, f"{entry.who}:", entry.action, entry.subject, entry.detail
            )
        return 0
    count, digest = verify(options.seal)
    print(f"{count:,} entries, none changed.")
    if count:
        print(f"Seal for the next check (--seal): {digest}")
    return 0
