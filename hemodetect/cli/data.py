"""The command about labelled sets: audit."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from hemodetect.cli.options import Subparsers, command, counter


def add_commands(subparsers: Subparsers) -> None:
    """Adds them to `hemodetect`."""
    audit_parser = command(
        subparsers, "audit", audit, "patients, counts, duplicate scans, shortcuts"
    )
    audit_parser.add_argument(
        "data", type=Path, metavar="DATA", help="folder of a labelled data set"
    )
    audit_parser.add_argument("--json", action="store_true", help="as JSON instead of text")


def audit(options: argparse.Namespace) -> int:
    """Print the audit of a data set; returns the exit status."""
    from hemodetect.dataset.audit import audit, audit_text
    from hemodetect.dataset.cache import open_dataset

    found = audit(open_dataset(options.data, counter("decoding")))
    print(json.dumps(found.to_json(), indent=1) if options.json else audit_text(found))
    return 0
