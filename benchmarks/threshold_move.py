"""How long the Compare page's figures take after a threshold moved, against computing everything again.

Five models x 20,000 synthetic slices of 200 patients: the numbers of a large hospital's set, no images.
"Prepared" is what the page does (`ComparisonView.scores`, and the cases of a cell); "recomputed" is
`hemodetect.evaluation.scores` on the same predictions, in the same run.

    python benchmarks/threshold_move.py [--slices 20000] [--patients 200]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from hemodetect.evaluation import scores
from hemodetect.evaluation.comparison import ComparedModel, compared
from hemodetect.evaluation.comparison_view import comparison_view
from hemodetect.figures.comparing import confusion_matrices
from hemodetect.models.families import FAMILY_NAMES

MOVES = (0.2, 0.35, 0.5, 0.65, 0.8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=20_000)
    parser.add_argument("--patients", type=int, default=200)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    patient = np.arange(options.slices) % options.patients
    table = pd.DataFrame(
        {
            "set": "made",
            "patient": [f"p{number}" for number in patient],
            "slice": [f"{number}.png" for number in range(options.slices)],
            "label": (patient % 2).astype(np.int8),
            "group": [f"p{number}" for number in patient],
            "fold": patient % 5,
        }
    )
    predictions = {
        family: table.assign(
            probability=random.beta(2, 2, options.slices).astype(np.float32) * 0.8
            + 0.2 * table["label"]
        )
        for family in FAMILY_NAMES
    }
    models = [
        ComparedModel(f, f, "paper", "v", 0.5, "as published", {"made": "out-of-fold"})
        for f in FAMILY_NAMES
    ]
    comparison = compared(models, {"made": "0"}, table, predictions, "2026-01-01")
    start = time.perf_counter()
    view = comparison_view(comparison, "slice")
    print(f"opening, once: {time.perf_counter() - start:.2f} s")

    def prepared(threshold: float) -> None:
        thresholds = dict.fromkeys(FAMILY_NAMES, threshold)
        scores_by_model = view.scores(thresholds)
        confusion_matrices({k: s.confusion for k, s in scores_by_model.items()}, dict(FAMILY_NAMES))
        view.cell("cnn", "fn", thresholds)

    def recomputed(threshold: float) -> None:
        for family in FAMILY_NAMES:
            scores(predictions[family], threshold=threshold, resamples=1000)

    ours, plain = _median(prepared, MOVES), _median(recomputed, MOVES[:2])
    print(
        f"a move over {5 * options.slices:,} predictions of {options.patients} patients: "
        f"prepared {1000 * ours:.0f} ms, recomputed {1000 * plain:.0f} ms, {plain / ours:.0f} times"
    )


def _median(run: Callable[[float], None], thresholds: tuple[float, ...]) -> float:
    seconds = []
    for threshold in thresholds:
        start = time.perf_counter()
        run(threshold)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
