"""Thresholds that a rule picks for every case of a comparison, never on the case's own patients."""

from __future__ import annotations

import numpy as np

from hemodetect.evaluation.comparison import Comparison
from hemodetect.evaluation.levels import EvaluationError, Level
from hemodetect.evaluation.operating import Rule, chosen_threshold, thresholds_on_other_folds


def rule_thresholds(comparison: Comparison, level: Level, key: str, rule: Rule) -> np.ndarray:
    """(cases,) float32: the threshold of model `key` for every row of ``comparison.cases(level)``.

    On the set a model was trained on, a fold's threshold is picked on the other folds; on an
    outside set it is picked on all of the model's out-of-fold predictions.

    Raises:
        EvaluationError: no out-of-fold predictions to pick on, or too few of them.
    """
    model, cases = comparison.model(key), comparison.cases(level)
    out_of_fold = cases["set"].map(lambda name: model.origins[name] == "out-of-fold").to_numpy(bool)
    if not out_of_fold.any():
        raise EvaluationError(
            f"{model.name}: no patients to choose a threshold on; evaluate it with --data of the "
            "set it was trained on as well."
        )
    labels, probabilities = cases["label"].to_numpy(), cases[key].to_numpy()
    thresholds = np.empty(len(cases), np.float32)
    # Two sets may both count their folds from 0; a fold is one of one set.
    folds = cases["set"].astype("category").cat.codes.to_numpy(np.int64) * 1000 + cases["fold"]
    thresholds[out_of_fold] = thresholds_on_other_folds(
        labels[out_of_fold], probabilities[out_of_fold], folds.to_numpy()[out_of_fold], rule
    )
    if not out_of_fold.all():
        thresholds[~out_of_fold] = chosen_threshold(
            labels[out_of_fold], probabilities[out_of_fold], rule
        )
    return thresholds
