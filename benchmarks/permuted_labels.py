"""Control with shuffled patient labels: a recipe must find nothing where there is nothing.

Each shuffle gives every patient group another group's label, trains the recipe `study` over the
patient folds, and takes the AUROC by patient against the shuffled labels. It must be about 0.5.
The AUROC is the mean over the folds, not one AUROC of all folds together. Where there is nothing to
find, a fold's probabilities are near the share of positives in its training patients. That share is
high where the test patients have few positives, so one AUROC of all folds would fall below 0.5.

    python benchmarks/permuted_labels.py DATA BACKBONE BACKBONE_DATA SPLIT [family ...]

Exit status 1 where the mean AUROC of a family is not between 0.4 and 0.6.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from hemodetect.dataset.cache import Dataset, open_dataset
from hemodetect.dataset.splits import Split, group_labels
from hemodetect.models.recipes import StudyRecipe, recipe_named
from hemodetect.training.fitting import Run
from hemodetect.training.study_training import StudyTrainer, out_of_fold

SHUFFLES = 20
MOST_DISTANCE = 0.1  # of the mean AUROC from 0.5


def shuffled(dataset: Dataset, groups: dict[str, str], seed: int) -> Dataset:
    """The set with the labels of whole patient groups exchanged."""
    labels = group_labels(dataset.slices, groups)
    moved = np.random.default_rng(seed).permutation(labels.to_numpy())
    by_group = dict(zip(labels.index, moved, strict=True))
    table = dataset.slices.copy()
    table["label"] = table["patient"].map(groups).map(by_group).astype(np.int8)
    return replace(dataset, slices=table)


def main() -> None:
    data, backbone, backbone_data, split_file, *families = sys.argv[1:]
    dataset, backbone_set = open_dataset(Path(data)), open_dataset(Path(backbone_data))
    run = Run(Path(), lambda _: None)
    split = Split.read(Path(split_file), dataset)
    found_something = []
    for family in families or ("svm", "logistic", "cnn"):
        recipe = recipe_named(family, "study")
        assert isinstance(recipe, StudyRecipe)
        aurocs = []
        for seed in range(SHUFFLES):
            permuted = shuffled(dataset, split.groups, seed)
            trainer = StudyTrainer(permuted, split, recipe, Path(backbone), backbone_set, seed)
            table = out_of_fold(trainer, permuted, split, run)
            by_patient = table.groupby("patient").agg(
                label=("label", "max"), p=("patient_probability", "first"), fold=("fold", "first")
            )
            aurocs += [
                roc_auc_score(fold["label"], fold["p"])
                for _, fold in by_patient.groupby("fold")
                if fold["label"].nunique() == 2
            ]
        error = np.std(aurocs) / SHUFFLES**0.5 / len(split.folds) ** 0.5
        print(
            f"{family}: AUROC by patient {np.mean(aurocs):.2f}, standard error {error:.2f}",
            flush=True,
        )
        if abs(np.mean(aurocs) - 0.5) > MOST_DISTANCE:
            found_something.append(family)
    if found_something:
        raise SystemExit(f"where nothing is, something was found by: {', '.join(found_something)}")


if __name__ == "__main__":
    main()
