"""Commands about studies: predict and sweep."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from hemodetect.cli.options import Subparsers, command
from hemodetect.errors import HemodetectError
from hemodetect.models.families import FAMILY_NAMES


def add_commands(subparsers: Subparsers) -> None:
    """Adds them to `hemodetect`."""
    predict_parser = command(
        subparsers, "predict", predict, "five models on folders, zips or files"
    )
    predict_parser.add_argument(
        "studies", type=Path, nargs="+", metavar="STUDY", help="what to read"
    )
    predict_parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write one object a study, one a line"
    )
    command(subparsers, "sweep", sweep, "remove saved studies whose time is over")


def predict(options: argparse.Namespace) -> int:
    """Print the predictions for studies; returns the exit status."""
    from hemodetect.imaging import read_study
    from hemodetect.prediction.study_prediction import predict_study
    from hemodetect.registry.releases import load_releases
    from hemodetect.reports.predictions import prediction_json, prediction_text
    from hemodetect.settings import settings

    releases = load_releases(settings().artifacts)
    for family, reason in releases.missing.items():
        print(f"hemodetect: no {FAMILY_NAMES[family]}: {reason}", file=sys.stderr)
    if not releases.models:
        raise HemodetectError("no model can be loaded; train one or set HEMODETECT_ARTIFACTS.")
    failed, lines = 0, []
    for path in options.studies:
        try:
            prediction = predict_study(read_study(path), releases.models)
        except HemodetectError as error:
            print(f"hemodetect: {path}: {error}", file=sys.stderr)
            failed += 1
            continue
        print(prediction_text(prediction, path.name))
        lines.append(json.dumps(prediction_json(prediction), ensure_ascii=False))
    if options.json:
        partial = options.json.with_name(options.json.name + ".partial")
        partial.write_text("".join(line + "\n" for line in lines))
        partial.replace(options.json)
    return 1 if failed else 0


def sweep(options: argparse.Namespace) -> int:
    """Remove expired saved studies; returns the exit status."""
    from hemodetect.reviews.saved import sweep

    removed = sweep()
    print(f"{removed} {'study' if removed == 1 else 'studies'} removed.")
    return 0
