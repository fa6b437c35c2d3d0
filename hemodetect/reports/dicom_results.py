"""A study's results as DICOM: the heat maps as secondary captures, all else as a structured report.

The app keeps no identity from a header, so the results form a study of their own under the study's
pseudonym. Their UIDs are keyed hashes: the same results have the same, and without the key nobody
can test a guess against them. Slices are named by number, from 1 in the order of the series, since
the UIDs of the images are not kept either.

The report follows TID 1500 (PS3.16): a measurement group (TID 1501) for each model and one for the
reader. Codes of DICOM and SNOMED CT stand where one says just what is meant. Where none does, a
private code or text stands: an operating point is here a probability, while DICOM's "CAD Operating
Point" is a place on a curve, and public sources disagree on the codes of the types of hemorrhage.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal, TypeVar

import numpy as np
from highdicom import coding_schemes, sr
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from hemodetect import RESEARCH_USE_ONLY, __version__
from hemodetect.families import FAMILY_NAMES
from hemodetect.imaging.pseudonym import pseudonym
from hemodetect.models.prediction import FamilyPrediction, StudyPrediction
from hemodetect.reports.words import agreement_sentence

NOT_FOR_CARE = f"{RESEARCH_USE_ONLY} Not for care."
NOTE_LENGTH = 4000
"""Most characters of a reader's note; a longer one is cut and ends in an ellipsis."""
SCHEME = "99HEMODETECT"
"""Designator of the private codes below."""

_PATIENT = Code("patient-prob", SCHEME, "Probability of hemorrhage for the patient")
_THRESHOLD = Code("operating-point", SCHEME, "Operating point: least probability called hemorrhage")
_SLICE = Code("slice-prob", SCHEME, "Probability of hemorrhage for a most suspicious slice")
_NUMBER = Code("slice-number", SCHEME, "Number of the slice in its series, from 1")
_TOP = Code("top-slices", SCHEME, "Most suspicious slices")
_METHOD = Code("map-method", SCHEME, "Method of the heat map")
_CONFIDENCE = Code("confidence", SCHEME, "Confidence of the reader, 1 (guess) to 5 (certain)")
_POINTED = Code("reader-slice", SCHEME, "Number of a slice named by the reader, from 1")
_TYPE = Code("type", SCHEME, "Type of hemorrhage")

# pydicom's dictionary gives the first a second meaning, and has neither of the others.
_HEMORRHAGE = Code("1386000", "SCT", "Intracranial hemorrhage")
_PRESENCE = Code("705057003", "SCT", "Presence")
_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
_PRESENT = {
    "hemorrhage": codes.cid240.Present,
    "no hemorrhage": codes.cid240.Absent,
    "cannot tell": codes.cid240.Undetermined,
    "unsure": codes.cid240.Undetermined,
}
_READER_WORDS = {"hemorrhage": "hemorrhage", "none": "no hemorrhage", "unsure": "unsure"}
_SLICES = Code("{slice}", "UCUM", "slice")
_CONTAINS = sr.RelationshipTypeValues.CONTAINS
_MAKER = "hemodetect"
_UTF_8 = "ISO_IR 192"
_LINE = 64
_SPACES = str.maketrans({"\t": " ", **dict.fromkeys("\r\v\f\x85\u2028\u2029", "\n")})
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_Item = TypeVar("_Item", bound=sr.ContentItem)


@dataclass(frozen=True, eq=False)
class OverlayPicture:
    """A slice with a heat map over it.

    Attributes:
        index: of the slice, from 0.
        rgb: (rows, columns, 3) uint8, without words in it.
        method: for people, e.g. "Grad-CAM".
        family: of the model whose answer the map explains.
    """

    index: int
    rgb: np.ndarray
    method: str
    family: str = "cnn"


@dataclass(frozen=True)
class ReaderCall:
    """What the reader says; who that is, is not asked.

    Attributes:
        call: for the patient.
        confidence: 1 (guess) to 5 (certain).
        slices: those the reader named, from 0.
        types: of hemorrhage, e.g. "Subdural".
        note: free text.
    """

    call: Literal["hemorrhage", "none", "unsure"]
    confidence: int
    slices: tuple[int, ...] = ()
    types: tuple[str, ...] = ()
    note: str = ""


def dicom_results(
    prediction: StudyPrediction,
    pictures: Sequence[OverlayPicture],
    reader: ReaderCall | None,
    when: datetime,
) -> dict[str, bytes]:
    """The results as DICOM files; the same arguments give the same bytes.

    Args:
        prediction: of one model at least.
        pictures: of slices of this study; may be none.
        reader: the reader's own call, or None.
        when: the moment of making, with its time zone. Results of another moment or content are
            another study (other UIDs) of the same pseudonymous patient.

    Returns:
        File name -> DICOM Part 10 file: ``overlay-01.dcm`` and so on, in the order of `pictures`,
        then ``report.dcm``, which refers to them.

    Raises:
        ValueError: an argument is not as said here or in its class.
        SettingError: there is no key for pseudonyms and none can be made.
    """
    _check(prediction, pictures, reader, when)
    made = _Made(prediction.study.id, when, _content(prediction, pictures, reader, when))
    slices = len(prediction.study.slices)
    captures = [_capture(picture, n, slices, made) for n, picture in enumerate(pictures, start=1)]
    files = {f"overlay-{n:02d}.dcm": capture for n, capture in enumerate(captures, start=1)}
    shown = list(zip(pictures, captures, strict=True))
    files["report.dcm"] = _report(prediction, shown, reader, made)
    return {name: _part_10(data_set) for name, data_set in files.items()}


@dataclass(frozen=True)
class _Made:
    """What all files of one set of results share.

    Attributes:
        study: pseudonym.
        when: aware.
        content: all that went into the files; it decides their UIDs.
    """

    study: str
    when: datetime
    content: tuple[str, ...]

    def uid(self, role: str) -> str:
        """Of what plays this role in the set."""
        return _uid(role, self.study, *self.content)

    def label(self, data_set: Dataset, series: str) -> None:
        """Writes of whom, when and for what purpose into `data_set`, over what stands there."""
        data_set.SpecificCharacterSet = _UTF_8
        for of in ("InstanceCreation", "Study", "Series", "Content"):
            setattr(data_set, f"{of}Date", self.when.strftime("%Y%m%d"))
            setattr(data_set, f"{of}Time", self.when.strftime("%H%M%S"))
        data_set.TimezoneOffsetFromUTC = self.when.strftime("%z")[:5]
        data_set.PatientID = data_set.PatientName = self.study
        data_set.PatientBirthDate = data_set.PatientSex = ""
        data_set.StudyInstanceUID, data_set.StudyID = self.uid("study"), self.study[:16]
        data_set.AccessionNumber = data_set.ReferringPhysicianName = ""
        data_set.StudyDescription = f"{_MAKER} results, research use only, not for care"
        data_set.SeriesDescription = f"{_MAKER} {series}, research use only, not for care"
        data_set.ContentQualification = "RESEARCH"
        data_set.Manufacturer = data_set.ManufacturerModelName = _MAKER
        data_set.SoftwareVersions = __version__


def _uid(role: str, *content: str) -> str:
    """2.25.<integer> of the keyed hash: a UUID of version 8 (RFC 9562, 5.8), see PS3.5, B.2."""
    parts = (pseudonym(f"result-uid-{part}", role, *content) for part in range(4))
    number = int("".join(part.rsplit("-", 1)[1] for part in parts)[:32], 16)
    number = number & ~(0xF << 76) | 8 << 76
    number = number & ~(0b11 << 62) | 0b10 << 62
    return f"2.25.{number}"


def _content(
    prediction: StudyPrediction,
    pictures: Sequence[OverlayPicture],
    reader: ReaderCall | None,
    when: datetime,
) -> tuple[str, ...]:
    families = (
        f"{family} {found.version!r} {float(found.patient)} {found.threshold} {found.undecided} "
        + sha256(found.probabilities.astype("<f4").tobytes()).hexdigest()
        for family, found in prediction.families.items()
    )
    maps = (
        f"{picture.index} {picture.method!r} {picture.family} {picture.rgb.shape} "
        + sha256(picture.rgb.tobytes()).hexdigest()
        for picture in pictures
    )
    slices = len(prediction.study.slices)
    return (__version__, when.isoformat(), repr(reader), str(slices), *families, *maps)


def _capture(picture: OverlayPicture, number: int, slices: int, made: _Made) -> Dataset:
    """A secondary capture, RGB, not compressed."""
    what = (
        f"Heat map ({_line(picture.method)}) of the {FAMILY_NAMES[picture.family]} model over slice "
        f"{picture.index + 1} of {slices}"
    )
    image = Dataset()
    made.label(image, "heat maps")
    image.SOPClassUID = SecondaryCaptureImageStorage
    image.SOPInstanceUID = made.uid(f"picture {number}")
    image.SeriesInstanceUID = made.uid("pictures")
    image.SeriesNumber, image.InstanceNumber = 1, number
    image.Modality, image.BodyPartExamined, image.ConversionType = "OT", "HEAD", "WSD"
    image.DateOfSecondaryCapture, image.TimeOfSecondaryCapture = image.StudyDate, image.StudyTime
    image.ImageType = ["DERIVED", "SECONDARY"]
    image.DerivationDescription = f"{what}, by {_MAKER} {__version__}. {NOT_FOR_CARE}"
    image.ImageComments = f"{NOT_FOR_CARE} {what}."
    # Which way the rows run is not kept of the source; a guess could turn left into right.
    image.PatientOrientation = ""
    image.BurnedInAnnotation = "NO"
    image.SamplesPerPixel, image.PhotometricInterpretation = 3, "RGB"
    image.PlanarConfiguration, image.PixelRepresentation = 0, 0
    image.Rows, image.Columns, _ = picture.rgb.shape
    image.BitsAllocated, image.BitsStored, image.HighBit = 8, 8, 7
    image.PixelData = picture.rgb.tobytes()
    image["PixelData"].VR = "OB"
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    return image


def _report(
    prediction: StudyPrediction,
    shown: Sequence[tuple[OverlayPicture, Dataset]],
    reader: ReaderCall | None,
    made: _Made,
) -> Dataset:
    """Comprehensive SR; it names the captures of `shown` as its evidence."""
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=_uid("device"), name=_MAKER, manufacturer_name=_MAKER, model_name=_MAKER
    )
    groups = [
        _model_group(family, found, [s for s in shown if s[0].family == family], made)
        for family, found in prediction.families.items()
    ]
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(
            observer_device_context=sr.ObserverContext(codes.DCM.Device, device)
        ),
        procedure_reported=codes.SCT.ComputedTomographyOfHead,
        imaging_measurements=groups + ([_reader_group(reader, made)] if reader else []),
    )[0]
    content.ContentSequence.append(_evaluations(prediction))
    # highdicom wants evidence even where there are no pictures; the entry is taken out below.
    captures = [capture for _, capture in shown] or [Dataset()]
    report = sr.ComprehensiveSR(
        evidence=[_evidence(capture) for capture in captures],
        content=content,
        series_instance_uid=made.uid("reports"),
        series_number=2,
        sop_instance_uid=made.uid("report"),
        instance_number=1,
        is_complete=True,
        coding_schemes=[
            coding_schemes.CodingSchemeIdentificationItem(
                SCHEME, name="Private codes of hemodetect", responsible_organization=_MAKER
            )
        ],
    )
    if not shown:
        del report.CurrentRequestedProcedureEvidenceSequence
    made.label(report, "report")
    for library in report.ContributingEquipmentSequence:  # highdicom itself, with the time of day
        library.ContributionDateTime = made.when.strftime("%Y%m%d%H%M%S%z")[:19]
    return report


def _evidence(capture: Dataset) -> Dataset:
    """What highdicom needs to refer to an image. `_Made.label` writes the patient and the study:
    highdicom warns of a patient's name that is a pseudonym."""
    found = Dataset()
    found.SOPClassUID = SecondaryCaptureImageStorage
    for level in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        setattr(found, level, capture.get(level, "2.25.0"))
    for empty in (
        "PatientID", "PatientName", "PatientBirthDate", "PatientSex",
        "AccessionNumber", "StudyID", "StudyDate", "StudyTime",
    ):  # fmt: skip
        setattr(found, empty, "")
    return found


def _model_group(
    family: str,
    found: FamilyPrediction,
    shown: Sequence[tuple[OverlayPicture, Dataset]],
    made: _Made,
) -> sr.MeasurementsAndQualitativeEvaluations:
    name, version = FAMILY_NAMES[family], _line(found.version)
    call = "cannot tell" if found.undecided else found.call
    top = ", ".join(str(index + 1) for index in found.top_slices)
    sentence = (
        f"{name}: {call}. Probability {found.patient:.3f}, operating point {found.threshold:.3f}, "
        f"bundle {version}. Most suspicious slices: {top}."
    )
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(made.uid(f"tracking {family}"), name),
        finding_type=_HEMORRHAGE,
        algorithm_id=sr.AlgorithmIdentification(f"{_MAKER} {name}", version, manufacturer=_MAKER),
    )
    slices = [_with(_number(_SLICE, found.probabilities[i]), _slice(i)) for i in found.top_slices]
    group[0].ContentSequence.extend(
        [
            *(_explanation(*each) for each in shown),
            _number(_PATIENT, found.patient),
            _number(_THRESHOLD, found.threshold),
            *slices,
            sr.CodeContentItem(_PRESENCE, _PRESENT[call], _CONTAINS),
            _text(codes.DCM.Conclusion, sentence),
        ]
    )
    return group


def _reader_group(reader: ReaderCall, made: _Made) -> sr.MeasurementsAndQualitativeEvaluations:
    call = _READER_WORDS[reader.call]
    sentence = f"Reader: {call}. Confidence {reader.confidence} of 5."
    note = _cleaned(reader.note, NOTE_LENGTH)
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(made.uid("tracking reader"), "Reader"),
        finding_type=_HEMORRHAGE,
    )
    # Here it takes the place of the observer of the whole report, which is the device.
    observer = sr.ObserverContext(
        codes.DCM.Person, sr.PersonObserverIdentifyingAttributes(name="reader^")
    )
    group[0].ContentSequence = sr.ContentSequence(
        [
            *observer,
            *group[0].ContentSequence,
            _number(_CONFIDENCE, int(reader.confidence)),
            *(_number(_POINTED, int(index) + 1, _SLICES) for index in reader.slices),
            sr.CodeContentItem(_PRESENCE, _PRESENT[call], _CONTAINS),
            *(_text(_TYPE, _line(kind)) for kind in reader.types),
            _text(codes.DCM.Conclusion, sentence),
            *([_text(codes.DCM.Comment, note)] if note else []),
        ]
    )
    return group


def _evaluations(prediction: StudyPrediction) -> sr.ContainerContentItem:
    """What is said of the study as a whole."""
    top = ", ".join(str(index + 1) for index in prediction.top_slices())
    count = len(prediction.study.slices)
    return _with(
        sr.ContainerContentItem(_EVALUATIONS, relationship_type=_CONTAINS),
        _text(codes.DCM.Comment, NOT_FOR_CARE),
        _text(codes.DCM.Conclusion, agreement_sentence(prediction)),
        _text(_TOP, f"{top} (by the mean of the models; of {count}, from 1 as in the series)"),
    )


def _explanation(picture: OverlayPicture, capture: Dataset) -> sr.ImageContentItem:
    return _with(
        sr.ImageContentItem(
            codes.DCM.VisualExplanation,
            capture.SOPClassUID,
            capture.SOPInstanceUID,
            relationship_type=_CONTAINS,
        ),
        _text(_METHOD, _line(picture.method), sr.RelationshipTypeValues.HAS_CONCEPT_MOD),
        _slice(picture.index, sr.RelationshipTypeValues.HAS_ACQ_CONTEXT),
    )


def _with(item: _Item, *children: sr.ContentItem) -> _Item:
    item.ContentSequence = sr.ContentSequence(children)
    return item


def _slice(
    index: int, relation: sr.RelationshipTypeValues = sr.RelationshipTypeValues.HAS_PROPERTIES
) -> sr.NumContentItem:
    return _number(_NUMBER, int(index) + 1, _SLICES, relation)


def _number(
    name: Code,
    value: float,
    unit: Code = codes.UCUM.NoUnits,
    relation: sr.RelationshipTypeValues = _CONTAINS,
) -> sr.NumContentItem:
    """A whole number as such, any other to six decimals."""
    if isinstance(value, int):
        item = sr.NumContentItem(name, value, unit, relationship_type=relation)
        item.MeasuredValueSequence[0].NumericValue = str(value)  # highdicom writes 9 as 9.0
        return item
    return sr.NumContentItem(name, round(float(value), 6), unit, relationship_type=relation)


def _text(
    name: Code, value: str, relation: sr.RelationshipTypeValues = _CONTAINS
) -> sr.TextContentItem:
    return sr.TextContentItem(name, value, relation)


def _line(text: str) -> str:
    return " ".join(_cleaned(text, _LINE).split()) or "not stated"


def _cleaned(text: str, limit: int) -> str:
    """`text` without what DICOM allows in no text (PS3.5, 6.1.3), cut to `limit` characters.

    Line ends become CR LF. Marks that turn the direction of what follows go too, lest it be read
    in another order than it was written.
    """
    taken = text[: 4 * limit].replace("\r\n", "\n").translate(_SPACES)
    kept = "".join(
        c
        for c in taken
        if c == "\n" or (unicodedata.category(c) not in ("Cc", "Cs") and c not in _TURNING)
    )
    lines = kept.strip().replace("\n", "\r\n")
    if len(lines) <= limit and len(text) <= 4 * limit:
        return lines
    return lines[: limit - 1].rstrip() + "…"


def _part_10(data_set: Dataset) -> bytes:
    data = io.BytesIO()
    data_set.save_as(data, enforce_file_format=True)
    return data.getvalue()


def _check(
    prediction: StudyPrediction,
    pictures: Sequence[OverlayPicture],
    reader: ReaderCall | None,
    when: datetime,
) -> None:
    count = len(prediction.study.slices)
    if when.utcoffset() is None:
        raise ValueError(f"when is {when.isoformat()}; expected a moment with its time zone.")
    if not prediction.families:
        raise ValueError("prediction has no model; expected one at least.")
    for number, picture in enumerate(pictures, start=1):
        shape, kind = picture.rgb.shape, picture.rgb.dtype
        if len(shape) != 3 or shape[2] != 3 or kind != np.uint8 or not picture.rgb.size:
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
    if reader.call not in _READER_WORDS:
        raise ValueError(f"call is {reader.call!r}; expected {', '.join(_READER_WORDS)}.")
    if reader.confidence not in range(1, 6):
        raise ValueError(f"confidence is {reader.confidence}; expected 1 to 5.")
    for index in reader.slices:
        if not 0 <= index < count:
            raise ValueError(f"the reader names slice {index}; expected 0 to {count - 1}.")
