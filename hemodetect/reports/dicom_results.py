"""A study's results as DICOM: heat maps as secondary captures, the rest as a structured report."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

import numpy as np
from pydicom.dataset import Dataset

from hemodetect import __version__
from hemodetect.prediction.study_prediction import StudyPrediction
from hemodetect.reports.dicom_capture import secondary_capture
from hemodetect.reports.dicom_identity import OriginalIdentity, ResultSet
from hemodetect.reports.dicom_report import structured_report
from hemodetect.reports.study_pictures import SlicePicture
from hemodetect.reviews.session import Answer


def dicom_results(
    prediction: StudyPrediction,
    pictures: Sequence[SlicePicture],
    reader: Answer | None,
    when: datetime,
    identity: OriginalIdentity | None = None,
) -> dict[str, bytes]:
    """The results as DICOM files; the same arguments give the same bytes.

    Args:
        prediction: of at least one model.
        pictures: of slices of this study; those without an overlay are left out.
        reader: the reader's answer, or None; the reader's name is not written.
        when: time of creation, with its time zone. Results of another time or content get other UIDs
            (another study of the same pseudonymous patient).
        identity: of the study that they go back to; without it they are the pseudonym's.

    Returns:
        File name -> DICOM Part 10 file: ``overlay-01.dcm`` and so on, in the order of `pictures`,
        then ``report.dcm``, which refers to them.

    Raises:
        ValueError: an argument is not as described here or in its class.
        ReviewError: the reader's answer is invalid, see `Answer.check`.
        SettingError: there is no key for pseudonyms and none can be created.
    """
    pictures = [picture for picture in pictures if picture.overlay is not None]
    _check(prediction, pictures, reader, when)
    content = _content(prediction, pictures, reader, when)
    result_set = ResultSet(prediction.study.id, when, content, identity)
    slices = len(prediction.study.slices)
    captures = [
        secondary_capture(p, n, slices, result_set) for n, p in enumerate(pictures, start=1)
    ]
    files = {f"overlay-{n:02d}.dcm": capture for n, capture in enumerate(captures, start=1)}
    pairs = list(zip(pictures, captures, strict=True))
    files["report.dcm"] = structured_report(prediction, pairs, reader, result_set)
    return {name: _part_10(data_set) for name, data_set in files.items()}


def zipped_results(
    prediction: StudyPrediction,
    pictures: Sequence[SlicePicture],
    reader: Answer | None,
    when: datetime,
) -> bytes:
    """`dicom_results` as a zip; arguments and errors are the same."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in dicom_results(prediction, pictures, reader, when).items():
            archive.writestr(name, data)
    return packed.getvalue()


def _content(
    prediction: StudyPrediction,
    pictures: Sequence[SlicePicture],
    reader: Answer | None,
    when: datetime,
) -> tuple[str, ...]:
    families = (
        f"{family} {result.version!r} {float(result.patient)} {result.threshold} {result.undecided} "
        + sha256(result.probabilities.astype("<f4").tobytes()).hexdigest()
        for family, result in prediction.families.items()
    )
    maps = (
        f"{picture.index} {picture.method!r} {picture.family} {overlay.shape} "
        + sha256(overlay.tobytes()).hexdigest()
        for picture in pictures
        if (overlay := picture.overlay) is not None
    )
    slices = len(prediction.study.slices)
    return (__version__, when.isoformat(), repr(reader), str(slices), *families, *maps)


def _part_10(data_set: Dataset) -> bytes:
    data = io.BytesIO()
    data_set.save_as(data, enforce_file_format=True)
    return data.getvalue()


def _check(
    prediction: StudyPrediction,
    pictures: Sequence[SlicePicture],
    reader: Answer | None,
    when: datetime,
) -> None:
    count = len(prediction.study.slices)
    if when.utcoffset() is None:
        raise ValueError(f"when is {when.isoformat()}; expected a time with its time zone.")
    if not prediction.families:
        raise ValueError("prediction has no model; expected at least one.")
    for number, picture in enumerate(pictures, start=1):
        overlay = picture.overlay
        if overlay is None:
            continue
        shape, kind = overlay.shape, overlay.dtype
        if len(shape) != 3 or shape[2] != 3 or kind != np.uint8 or not overlay.size:
            raise ValueError(
                f"picture {number} is {shape} {kind}; expected (rows, columns, 3) uint8."
            )
        if not 0 <= picture.index < count:
            raise ValueError(
                f"picture {number} is of slice {picture.index}; expected 0 to {count - 1}."
            )
        if picture.family not in prediction.families:
            raise ValueError(
                f"picture {number} explains {picture.family!r}; expected one of "
                f"{', '.join(prediction.families)}."
            )
    if reader is None:
        return
    reader.check()
    for number in reader.slices:
        if number > count:
            raise ValueError(f"the reader names slice {number}; expected 1 to {count}.")
