"""A study's results as DICOM: the heat maps as secondary captures, all else as a structured report.

The app keeps no identity from a header, so the results form a study of their own under the study's
pseudonym. Their UIDs are keyed hashes: the same results have the same, and without the key nobody
can test a guess against them. Slices are named by number, from 1 in the order of the series, since
the UIDs of the images are not kept either.

The report follows TID 1500 (PS3.16): a measurement group (TID 1501) for each model and one for the
reader.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import numpy as np
from highdicom import coding_schemes, sr
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from hemodetect import RESEARCH_USE_ONLY, __version__
from hemodetect.imaging.pseudonym import pseudonym
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.prediction.study_prediction import FamilyPrediction, StudyPrediction
from hemodetect.reports import dicom_items as items
from hemodetect.reports.study_pictures import SlicePicture
from hemodetect.reports.words import agreement_sentence
from hemodetect.reviews.session import Answer, Call

NOT_FOR_CARE = f"{RESEARCH_USE_ONLY} Not for care."
NOTE_LENGTH = 4000
"""Most characters of a reader's note; a longer one is cut and ends in an ellipsis."""
_CALLS: dict[Call, str] = {"hemorrhage": "hemorrhage", "none": "no hemorrhage", "unsure": "unsure"}
_MAKER = "hemodetect"
_UTF_8 = "ISO_IR 192"


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


def overlay_pictures(pictures: Sequence[SlicePicture]) -> tuple[OverlayPicture, ...]:
    """Those of `pictures` that have an overlay, as `dicom_results` takes them."""
    return tuple(
        OverlayPicture(picture.index, picture.overlay, "Grad-CAM")
        for picture in pictures
        if picture.overlay is not None
    )


def dicom_results(
    prediction: StudyPrediction,
    pictures: Sequence[OverlayPicture],
    reader: Answer | None,
    when: datetime,
) -> dict[str, bytes]:
    """The results as DICOM files; the same arguments give the same bytes.

    Args:
        prediction: of one model at least.
        pictures: of slices of this study; may be none.
        reader: the reader's own call, or None; who that is, is not asked.
        when: the moment of making, with its time zone. Results of another moment or content are
            another study (other UIDs) of the same pseudonymous patient.

    Returns:
        File name -> DICOM Part 10 file: ``overlay-01.dcm`` and so on, in the order of `pictures`,
        then ``report.dcm``, which refers to them.

    Raises:
        ValueError: an argument is not as said here or in its class.
        ReviewError: the reader's call can be of no study, see `Answer.check`.
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


def zipped_results(
    prediction: StudyPrediction,
    pictures: Sequence[OverlayPicture],
    reader: Answer | None,
    when: datetime,
) -> bytes:
    """`dicom_results` as a zip; arguments and errors are the same."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in dicom_results(prediction, pictures, reader, when).items():
            archive.writestr(name, data)
    return packed.getvalue()


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
    reader: Answer | None,
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
        f"Heat map ({items.clean_line(picture.method)}) of the {FAMILY_NAMES[picture.family]} model"
        f" over slice {picture.index + 1} of {slices}"
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
    # No BurnedInAnnotation: what was burnt into the source is still there, and nobody has looked.
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
    reader: Answer | None,
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
                items.SCHEME, name="Private codes of hemodetect", responsible_organization=_MAKER
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
    name, version = FAMILY_NAMES[family], items.clean_line(found.version)
    call = "cannot tell" if found.undecided else found.call
    top = ", ".join(str(index + 1) for index in found.top_slices)
    sentence = (
        f"{name}: {call}. Probability {found.patient:.3f}, operating point {found.threshold:.3f}, "
        f"bundle {version}. Most suspicious slices: {top}."
    )
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(made.uid(f"tracking {family}"), name),
        finding_type=items.HEMORRHAGE,
        algorithm_id=sr.AlgorithmIdentification(f"{_MAKER} {name}", version, manufacturer=_MAKER),
    )
    slices = [
        items.with_children(
            items.number(items.SLICE_PROBABILITY, found.probabilities[i]), items.slice_number(i)
        )
        for i in found.top_slices
    ]
    group[0].ContentSequence.extend(
        [
            *(_explanation(*each) for each in shown),
            items.number(items.PATIENT_PROBABILITY, found.patient),
            items.number(items.OPERATING_POINT, found.threshold),
            *slices,
            items.presence(call),
            items.text(codes.DCM.Conclusion, sentence),
        ]
    )
    return group


def _reader_group(reader: Answer, made: _Made) -> sr.MeasurementsAndQualitativeEvaluations:
    call = _CALLS[reader.call]
    sentence = f"Reader: {call}. Confidence {reader.confidence} of 5."
    note = items.clean_text(reader.note, NOTE_LENGTH)
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(made.uid("tracking reader"), "Reader"),
        finding_type=items.HEMORRHAGE,
    )
    # Here it takes the place of the observer of the whole report, which is the device.
    observer = sr.ObserverContext(
        codes.DCM.Person, sr.PersonObserverIdentifyingAttributes(name="reader^")
    )
    group[0].ContentSequence = sr.ContentSequence(
        [
            *observer,
            *group[0].ContentSequence,
            items.number(items.CONFIDENCE, int(reader.confidence)),
            *(items.named_slice(number) for number in reader.slices),
            items.presence(call),
            *(items.text(items.TYPE, kind) for kind in reader.types),
            items.text(codes.DCM.Conclusion, sentence),
            *([items.text(codes.DCM.Comment, note)] if note else []),
        ]
    )
    return group


def _evaluations(prediction: StudyPrediction) -> sr.ContainerContentItem:
    """What is said of the study as a whole."""
    top = ", ".join(str(index + 1) for index in prediction.top_slices())
    count = len(prediction.study.slices)
    return items.with_children(
        sr.ContainerContentItem(items.EVALUATIONS, relationship_type=items.CONTAINS),
        items.text(codes.DCM.Comment, NOT_FOR_CARE),
        items.text(codes.DCM.Conclusion, agreement_sentence(prediction)),
        items.text(
            items.TOP_SLICES,
            f"{top} (by the mean of the models; of {count}, from 1 as in the series)",
        ),
    )


def _explanation(picture: OverlayPicture, capture: Dataset) -> sr.ImageContentItem:
    return items.with_children(
        sr.ImageContentItem(
            codes.DCM.VisualExplanation,
            capture.SOPClassUID,
            capture.SOPInstanceUID,
            relationship_type=items.CONTAINS,
        ),
        items.text(
            items.MAP_METHOD,
            items.clean_line(picture.method),
            sr.RelationshipTypeValues.HAS_CONCEPT_MOD,
        ),
        items.slice_number(picture.index, sr.RelationshipTypeValues.HAS_ACQ_CONTEXT),
    )


def _part_10(data_set: Dataset) -> bytes:
    data = io.BytesIO()
    data_set.save_as(data, enforce_file_format=True)
    return data.getvalue()


def _check(
    prediction: StudyPrediction,
    pictures: Sequence[OverlayPicture],
    reader: Answer | None,
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
    reader.check()
    for number in reader.slices:
        if number > count:
            raise ValueError(f"the reader names slice {number}; expected 1 to {count}.")
