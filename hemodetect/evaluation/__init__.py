"""Predictions in, figures with intervals out."""

from hemodetect.evaluation.leakage import LeakageGap, leakage_gap, leakage_gaps
from hemodetect.evaluation.levels import EvaluationError, Level, patient_level, slice_level
from hemodetect.evaluation.metrics import Confusion, Metric, Scores, scores, scores_of_card
from hemodetect.evaluation.table import PUBLISHED, Evaluated, Published, results_table

__all__ = [
    "PUBLISHED",
    "Confusion",
    "Evaluated",
    "EvaluationError",
    "LeakageGap",
    "Level",
    "Metric",
    "Published",
    "Scores",
    "leakage_gap",
    "leakage_gaps",
    "patient_level",
    "results_table",
    "scores",
    "scores_of_card",
    "slice_level",
]
