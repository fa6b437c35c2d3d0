"""A study's results on their way back: report and heat maps under the study's own identity."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from hemodetect.pacs.deliveries import queue_results
from hemodetect.prediction.study_prediction import StudyPrediction
from hemodetect.reports.dicom_identity import OriginalIdentity
from hemodetect.reports.dicom_results import dicom_results
from hemodetect.reports.study_pictures import slice_pictures


def send_back(
    prediction: StudyPrediction, maps: np.ndarray | None, original: bytes, who: str
) -> int:
    """Has the results of a study sent to the PACS; returns the number of files.

    Args:
        prediction: of the study.
        maps: of the CNN, as for `slice_pictures`.
        original: a DICOM file of the study, which says whose it is.
        who: asks for it.

    Raises:
        UnreadableFile: the file does not say whose it is.
        ValueError: the prediction is of no model.
        DatabaseDown: the database cannot be written now.
        OSError: the disk is full; then nothing is sent.
    """
    files = dicom_results(
        prediction,
        slice_pictures(prediction, maps),
        None,
        datetime.now(UTC),
        OriginalIdentity.of(original),
    )
    queue_results(prediction.study.id, files, who)
    return len(files)
