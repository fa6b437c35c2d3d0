"""Commands about bundles: evaluate, promote, rollback, publish."""

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
    """Adds the commands evaluate, promote, rollback and publish."""
    evaluate_parser = command(
        subparsers, "evaluate", evaluate, "table of the scores of bundles, with intervals"
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
        help="labelled set to evaluate on; may be repeated. On its training set a bundle is"
        " evaluated by its out-of-fold predictions, on any other set by its model",
    )
    evaluate_parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the predictions for the Compare page (needs --data)",
    )

    for action, run, summary in (
        ("promote", promote, "make a bundle the release of its family"),
        ("rollback", rollback, "put the previous release back into use"),
    ):
        change = command(subparsers, action, run, summary)
        if action == "promote":
            change.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")
        else:
            change.add_argument("family", choices=list(FAMILY_NAMES), help="family")
            change.add_argument("--version", help="an earlier release (default: the previous one)")
        change.add_argument(
            "--why", required=True, help="reason, recorded in the trail of promotions"
        )
        change.add_argument("--who", default=None, help="default: the user of this machine")

    keep = command(
        subparsers,
        "publish",
        publish,
        "keep a bundle of the study's recipe and split as the model shown as published",
    )
    keep.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")


def publish(options: argparse.Namespace) -> int:
    """Keeps a bundle under the published models."""
    from hemodetect.registry.published import publish
    from hemodetect.settings import settings

    card = publish(options.bundle, settings().artifacts)
    print(f"{FAMILY_NAMES[card.family]} {card.version} is shown as published.")
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Prints the scores of bundles, on their own predictions or on the sets of --data."""
    from hemodetect.evaluation import leakage_gaps, results_table
    from hemodetect.validation.bundle_scores import evaluated_bundle, evaluated_models

    if options.data:
        from hemodetect.dataset.cache import open_dataset
        from hemodetect.evaluation.comparison_file import write_comparison
        from hemodetect.validation.external_validation import compare_bundles

        def report(line: str) -> None:
            print(line, file=sys.stderr, flush=True)

        datasets = [open_dataset(folder, counter("decoding")) for folder in options.data]
        comparison = compare_bundles(options.bundles, datasets, report)
        if options.out:
            write_comparison(comparison, options.out)
            report(f"{options.out}: written")
        print(results_table(evaluated_models(comparison)))
        return 0
    if options.out:
        raise HemodetectError("--out needs --data: name the set to evaluate the bundles on.")
    rows = [evaluated_bundle(folder) for folder in options.bundles]
    print(results_table(rows))
    for gap in leakage_gaps(rows):
        print(f"\n{gap.sentence}")
    return 0


def promote(options: argparse.Namespace) -> int:
    """Makes a bundle the release of its family, if its model can be loaded."""
    from hemodetect.registry.promotion import promote
    from hemodetect.registry.releases import load_bundle
    from hemodetect.settings import settings

    promotion = promote(
        options.bundle,
        settings().artifacts,
        who=acting_person(options),
        why=options.why,
        check=load_bundle,
    )
    print(_sentence(promotion))
    return 0


def rollback(options: argparse.Namespace) -> int:
    """Puts an earlier release of a family back into use."""
    from hemodetect.registry.promotion import rollback
    from hemodetect.settings import settings

    promotion = rollback(
        options.family,
        settings().artifacts,
        who=acting_person(options),
        why=options.why,
        version=options.version,
    )
    print(_sentence(promotion))
    return 0


def _sentence(promotion: Promotion) -> str:
    replaced = f", replacing {promotion.old}" if promotion.old else ""
    return f"{FAMILY_NAMES[promotion.family]}: {promotion.new} is in use{replaced}."
