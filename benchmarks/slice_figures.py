"""Figures of released models on every set they were judged on, as the tables of docs/models.md.

    python benchmarks/slice_figures.py RELEASES [PEER_MAPS]

RELEASES holds a bundle of each family, trained for near-east. All predictions are out of fold and are
read from the bundles. Tables:

1. by slice and by patient on each set;
2. expected calibration error of slices, over ten bins of equal width;
3. near-east by slice under the second teacher's labels. Slices of normal folders count as bloodless.
   A slice of a bleeding folder that has a map counts as bleeding from 0.5 ml and as bloodless below
   0.05 ml; all others are left out;
4. how often "cannot tell" keeps the true answer. The range for each set comes from the other sets.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from hemodetect.dataset.splits import Split
from hemodetect.evaluation.conformal import undecided_range
from hemodetect.evaluation.metrics import Scores, level_scores, scores
from hemodetect.evaluation.table import area, percent
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.registry.bundle import (
    BACKBONE_PREDICTIONS,
    BACKBONE_SPLIT,
    PREDICTIONS,
    SPLIT,
    Card,
    read_card,
)

BLEEDING_ML, BLOODLESS_ML = 0.5, 0.05


def out_of_fold(folder: Path, target: str) -> dict[str, tuple[pd.DataFrame, dict[str, str]]]:
    """Predictions and patient groups of each set, by its name."""
    predictions = pd.read_parquet(folder / PREDICTIONS)
    tables = {target: (predictions, Split.read(folder / SPLIT).groups)}
    others = pd.read_parquet(folder / BACKBONE_PREDICTIONS)
    groups = Split.read(folder / BACKBONE_SPLIT).groups
    for name, table in others.groupby(others["patient"].str.partition("/")[0]):
        tables[str(name)] = (table, groups)
    return tables


def line(name: str, figures: Scores) -> str:
    """One row of a table in Markdown."""
    cells = (figures.accuracy, figures.balanced_accuracy, figures.sensitivity, figures.specificity)
    return f"| {name} | {' | '.join(map(percent, cells))} | {area(figures.auroc)} |"


def calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean distance of probability and rate over ten bins of equal width, weighted by cases."""
    bins = np.minimum((probabilities * 10).astype(int), 9)
    return float(
        sum(
            np.abs(probabilities[bins == b].mean() - labels[bins == b].mean()) * (bins == b).mean()
            for b in np.unique(bins)
        )
    )


def second_teacher(folder: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Slices of near-east with a label by the second teacher, and their probability."""
    parts = [table[table["label"] == 0].assign(label=0)]
    for file in sorted(folder.glob("*.npz")):
        with np.load(file, allow_pickle=False) as arrays:
            ml = pd.Series(arrays["ml"], index=list(map(str, arrays["files"])))
        rows = table[(table["patient"] == file.stem) & (table["label"] == 1)]
        blood = rows["slice"].map(lambda name: Path(name).name).map(ml)
        sure = (blood >= BLEEDING_ML) | (blood < BLOODLESS_ML)
        parts.append(rows[sure].assign(label=(blood[sure] >= BLEEDING_ML).astype(int)))
    return pd.concat(parts)


def persons(table: pd.DataFrame, groups: dict[str, str]) -> pd.DataFrame:
    """Label and probability of each patient group: of its first folder with at least 8 slices."""
    patients = table.groupby("patient", as_index=False).agg(
        label=("label", "max"), p=("patient_probability", "first"), slices=("label", "size")
    )
    patients = patients[patients["slices"] >= 8]
    return patients[~patients["patient"].map(groups).duplicated()]


def main() -> None:
    releases, *maps = map(Path, sys.argv[1:])
    cards = {family: read_card(releases / family) for family in FAMILY_NAMES}
    tables = {family: out_of_fold(releases / family, "near-east") for family in cards}
    for name in tables["cnn"]:
        for level in ("slice", "patient"):
            first, groups = tables["cnn"][name]
            if level == "patient" and first.groupby("patient")["label"].max().nunique() < 2:
                continue
            rows = {f: _scores(cards[f], tables[f][name], level) for f in cards}
            cnn = rows["cnn"]
            print(f"\n{name}, by {level}: {cnn.n:,}, majority {cnn.majority_baseline:.1%}\n")
            for family, figures in rows.items():
                print(line(FAMILY_NAMES[family], figures))
    print("\nexpected calibration error by slice\n")
    for family in cards:
        errors = {
            name: calibration_error(t["label"].to_numpy(), t["probability"].to_numpy(np.float64))
            for name, (t, _) in tables[family].items()
            if name != "near-east"
        }
        print(
            f"| {FAMILY_NAMES[family]} | " + " | ".join(f"{n} {e:.3f}" for n, e in errors.items())
        )
    if maps:
        print("\nnear-east by slice, label by the second teacher\n")
        for family in cards:
            table, groups = tables[family]["near-east"]
            labelled = second_teacher(maps[0] / "near-east", table)
            limit = cards[family].slice_threshold or cards[family].threshold
            figures = scores(labelled, level="slice", threshold=limit, groups=groups)
            bleeding = labelled[labelled["patient"].isin(table.loc[table["label"] == 1, "patient"])]
            within = roc_auc_score(bleeding["label"], bleeding["probability"])
            print(line(FAMILY_NAMES[family], figures) + f" {within:.2f} in bleeding folders")
    print("\n'cannot tell': range from the other set of both kinds; true answer kept\n")
    for family in cards:
        sets = {name: persons(t, groups) for name, (t, groups) in tables[family].items()}
        both = {n: t for n, t in sets.items() if len(t) and t["label"].nunique() == 2}
        texts = []
        for name, table in sets.items():
            if not len(table):
                continue
            others = pd.concat([t for n, t in both.items() if n != name])
            low, high = undecided_range(
                others["label"].to_numpy(), others["p"].to_numpy(np.float64)
            )
            for label, word in ((1, "bleeding"), (0, "normal")):
                p = table.loc[table["label"] == label, "p"].to_numpy()
                if len(p):
                    answer_kept = (p >= low) if label else (p <= high)
                    open_ = (p >= low) & (p <= high)
                    texts.append(
                        f"{name} {word}: {answer_kept.sum()}/{len(p)} ({open_.sum()} open)"
                    )
        print(f"| {FAMILY_NAMES[family]} | {' | '.join(texts)} |")
    print(json.dumps({f: c.cannot_tell for f, c in cards.items()}))


def _scores(
    card: Card, table_and_groups: tuple[pd.DataFrame, dict[str, str]], level: str
) -> Scores:
    table, groups = table_and_groups
    return level_scores(
        table,
        "slice" if level == "slice" else "patient",
        threshold=card.threshold,
        slice_threshold=card.slice_threshold,
        groups=groups,
    )


if __name__ == "__main__":
    main()
