"""What the released form of the SVM costs: accuracy with support vectors in principal components.

    python benchmarks/svm_projection.py ../shared/data/near-east artifacts/releases/svm/split.json

For each fold, the exact RBF fit and its projections decide on the test slices, by the sign of the
decision value.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from hemodetect.dataset.cache import open_dataset
from hemodetect.dataset.splits import Split
from hemodetect.models.calibration import Sigmoid
from hemodetect.training.svm_training import exact_svm, projected

COMPONENTS = (32, 128, 256)


def main(data: Path, split_file: Path) -> None:
    """Prints accuracy and agreement of each form over all test slices of the split."""
    dataset = open_dataset(data)
    split = Split.read(split_file, dataset)
    grey = dataset.grey(128)
    called: dict[str, list[np.ndarray]] = defaultdict(list)
    for fold in range(len(split.folds)):
        test = split.test_mask(dataset.slices, fold)
        exact = exact_svm(np.array(grey[~test]), dataset.labels[~test], "rbf", 1.0)
        unseen = np.array(grey[test])
        called["label"].append(dataset.labels[test] == 1)
        called["exact"].append(exact.decisions(unseen) > 0)
        for count in COMPONENTS:
            model = projected(exact, count, Sigmoid(1, 0), 128)
            called[f"{count} components"].append(model.decisions(unseen) > 0)
    joined = {name: np.concatenate(parts) for name, parts in called.items()}
    label, exact_calls = joined.pop("label"), joined["exact"]
    for name, calls in joined.items():
        print(
            f"{name}: accuracy {np.mean(calls == label):.1%},"
            f" same call as the exact fit {np.mean(calls == exact_calls):.1%}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
