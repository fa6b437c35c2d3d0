"""Commands about bundles: evaluate, promote, rollback."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hemodetect.cli.options import Subparsers, acting_person, command, counter
from hemodetect.errors import HemodetectError
from hemodetect.models.families import FAMILY_NAMES

if TYPE_CHECKING:
    from hemodetect.registry.promotion import Promotion


def add_commands(subparsers: Subparsers) -> None:
    """Adds them to `hemodetect`."""
    evaluate_parser = command(
        subparsers, "evaluate", evaluate, "table of bundles' figures, with intervals"
    )
    evaluate_parser.add_argument(
        "bundles", type=Path, nargs="+", metavar="BUNDLE", help="bundle folders"
    )
    evaluate_parser.add_argument(
        "--data",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="labelled set to judge the bundles on; may be given again. Out-of-fold predictions on"
        " the set a bundle was trained on, its model's on any other",
    )
    evaluate_parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the predictions for the Compare page (needs --data)",
    )

    for action, run, summary in (
        ("promote", promote, "make a bundle the release of its family"),
        ("rollback", rollback, "put the release before back into use"),
    ):
        change = command(subparsers, action, run, summary)
        if action == "promote":
            change.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")
        else:
            change.add_argument("family", choices=list(FAMILY_NAMES), help="family")
            change.add_argument("--version", help="an earlier one than the one before")
        change.add_argument("--why", required=True, help="kept in the promotions' trail")
        change.add_argument("--who", default=None, help="default: the user of this machine")


def evaluate(options: argparse.Namespace) -> int:
    """Print the metrics table of bundles, with intervals; returns the exit status."""
    from hemodetect.evaluation import leakage_gaps, results_table
    from hemodetect.validation.bundle_scores import evaluated_bundle, evaluated_models

    if options.data:
        from hemodetect.dataset.cache import open_dataset
        from hemodetect.evaluation.comparison_file import write_comparison
        from hemodetect.validation.external_validation import compare_bundles

        def told(line: str) -> None:
            print(line, file=sys.stderr, flush=True)

        datasets = [open_dataset(folder, counter("decoding")) for folder in options.data]
        comparison = compare_bundles(options.bundles, datasets, told)
        if options.out:
            write_comparison(comparison, options.out)
            told(f"{options.out}: written")
        print(results_table(evaluated_models(comparison)))
        return 0
    if options.out:
        raise HemodetectError("--out needs --data: name the set that the bundles are judged on.")
    rows = [evaluated_bundle(folder) for folder in options.bundles]
    print(results_table(rows))
    for gap in leakage_gaps(rows):
        print(f"\n{gap.sentence}")
    return 0


def promote(options: argparse.Namespace) -> int:
    """Make a bundle the release of its family; returns the exit status."""
    from hemodetect.registry.promotion import promote
    from hemodetect.registry.releases import load_bundle
    from hemodetect.settings import settings

    done = promote(
        options.bundle,
        settings().artifacts,
        who=acting_person(options),
        why=options.why,
        check=load_bundle,
    )
    print(_sentence(done))
    return 0


def rollback(options: argparse.Namespace) -> int:
    """Make the previous bundle of a family its release again; returns the exit status."""
    from hemodetect.registry.promotion import rollback
    from hemodetect.settings import settings

    done = rollback(
        options.family,
        settings().artifacts,
        who=acting_person(options),
        why=options.why,
        version=options.version,
    )
    print(_sentence(done))
    return 0


def _sentence(done: Promotion) -> str:
    before = f", in place of {done.old}" if done.old else ""
    return f"{FAMILY_NAMES[done.family]}: {done.new} is in use{before}."
