"""DICOM results of one study for tests, and functions that read what is in such a file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import numpy as np
import pydicom
from highdicom import sr
from pydicom.dataset import Dataset

from hemodetect.imaging.study import RefusedFile, Series, Slice, Study
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.prediction.study_prediction import FamilyPrediction, StudyPrediction
from hemodetect.reports.dicom_results import dicom_results
from hemodetect.reports.study_pictures import SlicePicture
from hemodetect.reviews.session import Answer

WHEN = datetime(2026, 3, 4, 15, 6, 7, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))
SLICES = 9
READER = Answer("hemorrhage", 4, (9, 7), ("Subdural", "Epidural"), "Left, thin.\nÖdem? 🧠")
HOSTILE = ("\x00\x1b[31m\x9b\x7f\ud800\u202e\\\\ <script> \r\n\r\v\u2028🧠👩🏽‍⚕️ İ漢字\t" * 400)[
    :10_000
]


def predicted(study_id: str = "study-7f3a9c21d0", count: int = SLICES) -> StudyPrediction:
    """All five families; the last slice is the most suspicious. The logistic one cannot tell."""
    slices = tuple(
        Slice(np.zeros((4, 4), np.uint8), "grey", f"MUELLER^HANS/{n}.dcm") for n in range(count)
    )
    study = Study(
        study_id,
        (Series("series-1", "HANS MUELLER", slices),),
        refused=(RefusedFile("MUELLER.dcm", "Of HANS MUELLER."),),
    )
    probabilities = np.linspace(0.2, 0.9, count, dtype=np.float32)
    families = {
        family: FamilyPrediction(probabilities, patient, 0.45, f"{family}-paper-1")
        for family, patient in zip(FAMILY_NAMES, (0.55, 0.5, 0.125, 0.1, 0.9), strict=True)
    }
    families["logistic"] = replace(families["logistic"], cannot_tell=(0.4, 0.52))
    return StudyPrediction(study, families)


def picture(index: int, family: str = "cnn", shape: tuple[int, int] = (6, 8)) -> SlicePicture:
    values = np.random.default_rng(index).integers(0, 256, (*shape, 3)).astype(np.uint8)
    method = "Grad-CAM" if family == "cnn" else "Attention"
    return SlicePicture(index, values[..., 0], values, 0.5, method, family)


PICTURES = (picture(8), picture(7), picture(8, "attention_rnn", (5, 7)))


def results_of(
    prediction: StudyPrediction | None = None,
    pictures: tuple[SlicePicture, ...] = PICTURES,
    reader: Answer | None = READER,
    when: datetime = WHEN,
) -> dict[str, bytes]:
    return dicom_results(prediction or predicted(), pictures, reader, when)


def read(data: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(data))


def measurement_groups(data: bytes) -> dict[str, Dataset]:
    """Measurement groups by tracking identifier, as highdicom finds them in the file."""
    report = sr.ComprehensiveSR.from_dataset(read(data))
    return {
        group.tracking_identifier: group[0]
        for group in report.content.get_image_measurement_groups()
    }


def items(parent: Dataset, name: str) -> list[Dataset]:
    """Children of `parent` whose concept has the meaning `name`."""
    return [
        item
        for item in parent.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeMeaning == name
    ]


def numbers(parent: Dataset, name: str) -> list[float]:
    return [float(item.MeasuredValueSequence[0].NumericValue) for item in items(parent, name)]


def texts(parent: Dataset, name: str) -> list[str]:
    return [item.TextValue for item in items(parent, name)]


def all_elements(data_set: Dataset) -> Iterator[pydicom.DataElement]:
    yield from data_set.file_meta
    yield from data_set.iterall()


def uids_of(files: dict[str, bytes]) -> set[str]:
    """All UIDs made for these files; not those of DICOM's classes and syntaxes."""
    return {
        str(element.value)
        for data in files.values()
        for element in all_elements(read(data))
        if element.VR == "UI" and str(element.value).startswith("2.25.")
    }
