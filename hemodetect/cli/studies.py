"""Commands about studies: predict and sweep."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hemodetect.cli.options import Subparsers, command
from hemodetect.errors import HemodetectError
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.storage.whole_file import whole_file

if TYPE_CHECKING:
    from hemodetect.imaging.study import Study


def add_commands(subparsers: Subparsers) -> None:
    """Adds the commands predict and sweep."""
    predict_parser = command(
        subparsers, "predict", predict, "five models on folders, zips or files"
    )
    predict_parser.add_argument(
        "studies", type=Path, nargs="+", metavar="STUDY", help="folder, zip or file to read"
    )
    predict_parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write JSON, one study a line"
    )
    predict_parser.add_argument(
        "--series", type=int, metavar="N",
        help="read the Nth series of each study, as numbered in the output, not the proposed one",
    )  # fmt: skip
    predict_parser.add_argument(
        "--models",
        choices=["ours", "published"],
        default="ours",
        help="ours: the models in use (default); published: the study's own, for comparison",
    )
    command(subparsers, "sweep", sweep, "remove studies that have expired")


def predict(options: argparse.Namespace) -> int:
    """Prints what the models predict for each study; 1 where one was not."""
    from hemodetect.imaging import read_study
    from hemodetect.prediction.study_prediction import predict_study
    from hemodetect.registry.published import load_published
    from hemodetect.registry.releases import load_releases
    from hemodetect.reports.predictions import prediction_json, prediction_text
    from hemodetect.reports.words import PUBLISHED_CAUTION
    from hemodetect.settings import settings

    published = options.models == "published"
    releases = (load_published if published else load_releases)(settings().artifacts)
    for family, reason in releases.missing.items():
        print(f"hemodetect: no {FAMILY_NAMES[family]}: {reason}", file=sys.stderr)
    if not releases.models:
        raise HemodetectError("no model can be loaded; train one or set HEMODETECT_ARTIFACTS.")
    failures, lines = 0, []
    for path in options.studies:
        try:
            study = read_study(path)
            if options.series is not None:
                study = _with_series(study, options.series)
            prediction = predict_study(study, releases.models)
            if published:
                prediction = prediction.with_caution(PUBLISHED_CAUTION)
        except HemodetectError as error:
            print(f"hemodetect: {path}: {error}", file=sys.stderr)
            failures += 1
            continue
        print(prediction_text(prediction, path.name))
        failures += bool(study.left_out or prediction.stopped)
        lines.append(json.dumps(prediction_json(prediction), ensure_ascii=False))
    if options.json:
        with whole_file(options.json) as partial:
            partial.write_text("".join(line + "\n" for line in lines))
    return 1 if failures else 0


def _with_series(study: Study, number: int) -> Study:
    count = len(study.series)
    if not 1 <= number <= count:
        raise HemodetectError(f"--series is {number}; the study has the series 1 to {count}.")
    return study.choosing(number - 1)


def sweep(options: argparse.Namespace) -> int:
    """Removes the studies that have expired, saved ones and those of the worklist."""
    from hemodetect.pacs import worklist
    from hemodetect.reviews.saved import sweep

    removed = sweep() + worklist.sweep()
    print(f"{removed} {'study' if removed == 1 else 'studies'} removed.")
    return 0
