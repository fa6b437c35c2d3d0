"""The SVM by Gram matrix against scikit-learn's direct fit, in one run.

    python benchmarks/kernel_speed.py ../shared/data/near-east

Both fit 1,600 slices with the RBF kernel; the direct fit gets one BLAS thread, with which it is
fastest on a busy machine. Then the full-size fit, and the prediction of a 300-slice study.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from hemodetect.dataset.cache import open_dataset
from hemodetect.models.calibration import Sigmoid
from hemodetect.models.gram import CHANNELS
from hemodetect.training.svm_training import ExactSvm, exact_svm, projected

SLICES = 1600


def main(data: Path) -> None:
    """Prints the times and their ratio."""
    dataset = open_dataset(data)
    grey = np.array(dataset.grey(128))
    rows = np.sort(np.random.default_rng(0).permutation(len(grey))[:SLICES])
    train, labels = grey[rows], dataset.labels[rows]
    flat = train.reshape(SLICES, -1, 1).astype(np.float32) / 255
    features = StandardScaler().fit_transform(np.repeat(flat, CHANNELS, 2).reshape(SLICES, -1))

    ours_s, ours = _timed(lambda: exact_svm(train, labels, "rbf", 1.0))
    with threadpool_limits(1):
        direct_s, direct = _timed(lambda: SVC(kernel="rbf").fit(features, labels))
    print(f"direct RBF fit on {SLICES} slices: {direct_s:.1f} s")
    print(f"by Gram matrix, standardising included: {ours_s:.2f} s, {direct_s / ours_s:.0f} times")
    difference = np.abs(direct.decision_function(features[:200]) - ours.decisions(train[:200]))
    print(f"largest difference of 200 decision values: {difference.max():.1e}")
    full_s, full = _timed(lambda: exact_svm(grey, dataset.labels, "rbf", 1.0))
    print(f"by Gram matrix on all {len(grey)} slices: {full_s:.1f} s")
    _prediction(full, grey)


def _prediction(full: ExactSvm, grey: np.ndarray) -> None:
    model = projected(full, 128, Sigmoid(1, 0), 128)
    seconds, _ = _timed(lambda: model.probabilities(grey[:300]))
    print(f"released form, prediction of 300 slices: {seconds:.2f} s")


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main(Path(sys.argv[1]))
