"""What is looked at before any model runs: stop, repair, or caution.

*Stop*: the models give no probabilities, and a sentence says why and what to do. *Caution*: a sentence
beside the calls. A repair is made only where it is certain, and is a caution too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hemodetect.imaging.study import Series, Study
from hemodetect.inputcheck.gaps import missing_slices
from hemodetect.inputcheck.hounsfield import hounsfield_findings
from hemodetect.inputcheck.pictures import picture_stop
from hemodetect.preprocessing.head_position import FEWEST_SLICES

CONTRAST_GIVEN = (
    "A contrast agent was given (DICOM header). Contrast looks like blood; the models were trained"
    " without it."
)
"""Of a series whose header names a contrast agent."""


@dataclass(frozen=True, eq=False)
class CheckedStudy:
    """A study after the check.

    Attributes:
        study: as the models take it: repaired where that was certain.
        stopped: why no model may run and what to do, in a sentence; None where they may.
        cautions: sentences to read beside the calls.
    """

    study: Study
    stopped: str | None
    cautions: tuple[str, ...]


def checked_study(study: Study) -> CheckedStudy:
    """Checks the chosen series of a study."""
    series = study.series[study.chosen]
    stopped, repaired = None, ""
    if study.units == "HU":
        findings = hounsfield_findings(series.slices)
        stopped, repaired = findings.stop, findings.repair
        if repaired:
            study = _with_series(study, replace(series, slices=findings.slices))
    else:
        stopped = picture_stop(series.slices)
    if stopped:
        return CheckedStudy(study, stopped, (study.left_out,) if study.left_out else ())
    cautions = (*study.cautions, *([repaired] if repaired else []), *_cautions(series))
    return CheckedStudy(study, None, cautions)


def _with_series(study: Study, series: Series) -> Study:
    all_series = list(study.series)
    all_series[study.chosen] = series
    return replace(study, series=tuple(all_series))


def _cautions(series: Series) -> list[str]:
    sentences = [CONTRAST_GIVEN] if series.contrast else []
    sentences += missing_slices(series)
    count = len(series.slices)
    if count < FEWEST_SLICES:
        noun = "slice" if count == 1 else "slices"
        sentences.append(
            f"The series has {count} {noun}. The models were trained on whole heads of 20 slices and"
            f" more; below {FEWEST_SLICES} they do not call a patient."
        )
    return sentences
