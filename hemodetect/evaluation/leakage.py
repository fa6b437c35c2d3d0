"""The leakage gap: how much of a score comes from training on the same patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hemodetect.evaluation.levels import EvaluationError
from hemodetect.evaluation.metrics import Metric, Scores
from hemodetect.evaluation.table import Evaluated, area, percent
from hemodetect.models.families import FAMILY_NAMES


@dataclass(frozen=True)
class LeakageGap:
    """One recipe under both splits, by slice.

    Attributes:
        family: a key of `FAMILY_NAMES`.
        recipe: name of the recipe.
        paper_accuracy, paper_auroc: split at random by slice, patients on both sides.
        patient_accuracy, patient_auroc: on patients that the model was not trained on.
        majority_baseline: of the patient split.
    """

    family: str
    recipe: str
    paper_accuracy: Metric
    patient_accuracy: Metric
    paper_auroc: Metric
    patient_auroc: Metric
    majority_baseline: float

    @property
    def accuracy(self) -> float:
        """Accuracy of the paper split less that of the patient split, -1 to 1."""
        return self.paper_accuracy.value - self.patient_accuracy.value

    @property
    def auroc(self) -> float:
        """AUROC of the paper split less that of the patient split, -1 to 1."""
        return self.paper_auroc.value - self.patient_auroc.value

    @property
    def sentence(self) -> str:
        """The gap in words, for a reader who does not know the term."""
        points = f"{abs(100 * self.accuracy):.1f} percentage points"
        verdict = (
            f"a leakage gap of {points}"
            if self.accuracy > 0
            else f"no leakage gap (lower by {points})"
        )
        return (
            f"{FAMILY_NAMES[self.family]} ({self.recipe}): {percent(self.paper_accuracy)} of "
            "slices right where other slices of the same patients were trained on, "
            f"{percent(self.patient_accuracy)} on patients never seen, with "
            f"{100 * self.majority_baseline:.1f} % for the majority-class baseline: "
            f"{verdict}; AUROC {area(self.paper_auroc)} against {area(self.patient_auroc)}."
        )


def leakage_gap(family: str, recipe: str, paper: Scores, patient: Scores) -> LeakageGap:
    """The gap between slice scores under the two splits.

    Raises:
        EvaluationError: scores by patient, where nothing can leak between slices.
    """
    if not paper.level == patient.level == "slice":
        raise EvaluationError("The leakage gap compares scores by slice; got scores by patient.")
    return LeakageGap(
        family=family,
        recipe=recipe,
        paper_accuracy=paper.accuracy,
        patient_accuracy=patient.accuracy,
        paper_auroc=paper.auroc,
        patient_auroc=patient.auroc,
        majority_baseline=patient.majority_baseline,
    )


def leakage_gaps(rows: Sequence[Evaluated]) -> tuple[LeakageGap, ...]:
    """The gap of every recipe that was evaluated under both splits, families in the usual order."""
    by_split = {(row.family, row.recipe, row.split): row.slice_scores for row in rows}
    recipes = sorted({(row.family, row.recipe) for row in rows})
    return tuple(
        leakage_gap(family, recipe, paper, patient)
        for key in FAMILY_NAMES
        for family, recipe in recipes
        if family == key
        and (paper := by_split.get((family, recipe, "paper")))
        and (patient := by_split.get((family, recipe, "patient")))
    )


def gap_sentences(gaps: Sequence[LeakageGap]) -> tuple[str, str, str]:
    """What the gaps mean, in three sentences for a clinician; `gaps` is not empty."""
    widest = max(gaps, key=lambda gap: gap.accuracy)
    useful = [gap for gap in gaps if gap.patient_accuracy.low > gap.majority_baseline]
    names = " and ".join(FAMILY_NAMES[gap.family] for gap in useful)
    return (
        "When slices of one patient lie on both sides of a split, a model can recognise the patient"
        f" instead of the bleed: tested like that, {FAMILY_NAMES[widest.family]} is right for"
        f" {100 * widest.paper_accuracy.value:.0f} % of slices.",
        "On patients it has never seen, as every new patient is, the same recipe is right for"
        f" {100 * widest.patient_accuracy.value:.0f} %; the difference comes from the test, not"
        " from the model.",
        f"Calling every slice normal would be right for {100 * widest.majority_baseline:.0f} %"
        + (
            f", and only {names} {'does' if len(useful) == 1 else 'do'} surely better on new patients."
            if useful
            else ", and none of these models does surely better on new patients."
        ),
    )
