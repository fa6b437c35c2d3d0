"""A study's results as a DICOM structured report.

The report follows TID 1500 (PS3.16): one measurement group (TID 1501) per model and one for the
reader. Slices are named by number, from 1 in the order of the series, because the UIDs of the source
images are not stored.
"""

from __future__ import annotations

from collections.abc import Sequence

from highdicom import coding_schemes, sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import SecondaryCaptureImageStorage

from hemodetect.models.families import FAMILY_NAMES
from hemodetect.prediction.study_prediction import FamilyPrediction, StudyPrediction
from hemodetect.reports import dicom_items as items
from hemodetect.reports.dicom_identity import MANUFACTURER, NOT_FOR_CARE, ResultSet, keyed_uid
from hemodetect.reports.study_pictures import SlicePicture
from hemodetect.reports.words import agreement_sentence
from hemodetect.reviews.session import Answer, Call

NOTE_LENGTH = 4000
"""Most characters of a reader's note; a longer note is cut and ends in an ellipsis."""
_CALLS: dict[Call, str] = {"hemorrhage": "hemorrhage", "none": "no hemorrhage", "unsure": "unsure"}


def structured_report(
    prediction: StudyPrediction,
    captures: Sequence[tuple[SlicePicture, Dataset]],
    reader: Answer | None,
    result_set: ResultSet,
) -> Dataset:
    """The Comprehensive SR document of a study.

    Args:
        prediction: of at least one model.
        captures: each picture with its secondary capture; the report refers to them as evidence.
        reader: the reader's answer, or None.
        result_set: the set that the report belongs to.
    """
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=keyed_uid("device"),
        name=MANUFACTURER,
        manufacturer_name=MANUFACTURER,
        model_name=MANUFACTURER,
    )
    groups = [
        _model_group(family, result, [c for c in captures if c[0].family == family], result_set)
        for family, result in prediction.families.items()
    ]
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(
            observer_device_context=sr.ObserverContext(codes.DCM.Device, device)
        ),
        procedure_reported=codes.SCT.ComputedTomographyOfHead,
        imaging_measurements=groups + ([_reader_group(reader, result_set)] if reader else []),
    )[0]
    content.ContentSequence.append(_evaluations(prediction))
    # highdicom requires evidence even without pictures; the placeholder is removed below.
    evidence = [capture for _, capture in captures] or [Dataset()]
    report = sr.ComprehensiveSR(
        evidence=[_evidence(capture) for capture in evidence],
        content=content,
        series_instance_uid=result_set.uid("reports"),
        series_number=2,
        sop_instance_uid=result_set.uid("report"),
        instance_number=1,
        is_complete=True,
        coding_schemes=[
            coding_schemes.CodingSchemeIdentificationItem(
                items.SCHEME,
                name="Private codes of hemodetect",
                responsible_organization=MANUFACTURER,
            )
        ],
    )
    if not captures:
        del report.CurrentRequestedProcedureEvidenceSequence
    result_set.label(report, "report")
    for library in report.ContributingEquipmentSequence:  # highdicom itself, with the time of day
        library.ContributionDateTime = result_set.when.strftime("%Y%m%d%H%M%S%z")[:19]
    return report


def _evidence(capture: Dataset) -> Dataset:
    """What highdicom needs to refer to an image. `ResultSet.label` writes the patient and the study:
    highdicom warns about a patient name that is a pseudonym."""
    reference = Dataset()
    reference.SOPClassUID = SecondaryCaptureImageStorage
    for level in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        setattr(reference, level, capture.get(level, "2.25.0"))
    for empty in (
        "PatientID", "PatientName", "PatientBirthDate", "PatientSex",
        "AccessionNumber", "StudyID", "StudyDate", "StudyTime",
    ):  # fmt: skip
        setattr(reference, empty, "")
    return reference


def _model_group(
    family: str,
    result: FamilyPrediction,
    captures: Sequence[tuple[SlicePicture, Dataset]],
    result_set: ResultSet,
) -> sr.MeasurementsAndQualitativeEvaluations:
    name, version = FAMILY_NAMES[family], items.clean_line(result.version)
    call = "cannot tell" if result.undecided else result.call
    top = ", ".join(str(index + 1) for index in result.top_slices)
    sentence = (
        f"{name}: {call}. Probability {result.patient:.3f}, operating point {result.threshold:.3f}, "
        f"bundle {version}. Most suspicious slices: {top}."
    )
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(result_set.uid(f"tracking {family}"), name),
        finding_type=items.HEMORRHAGE,
        algorithm_id=sr.AlgorithmIdentification(
            f"{MANUFACTURER} {name}", version, manufacturer=MANUFACTURER
        ),
    )
    slices = [
        items.with_children(
            items.number(items.SLICE_PROBABILITY, result.probabilities[i]), items.slice_number(i)
        )
        for i in result.top_slices
    ]
    group[0].ContentSequence.extend(
        [
            *(_explanation(*each) for each in captures),
            items.number(items.PATIENT_PROBABILITY, result.patient),
            items.number(items.OPERATING_POINT, result.threshold),
            *slices,
            items.presence(call),
            items.text(codes.DCM.Conclusion, sentence),
        ]
    )
    return group


def _reader_group(
    reader: Answer, result_set: ResultSet
) -> sr.MeasurementsAndQualitativeEvaluations:
    call = _CALLS[reader.call]
    sentence = f"Reader: {call}. Confidence {reader.confidence} of 5."
    note = items.clean_text(reader.note, NOTE_LENGTH)
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(result_set.uid("tracking reader"), "Reader"),
        finding_type=items.HEMORRHAGE,
    )
    # This observer replaces the observer of the whole report, which is the device.
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
    """The conclusions on the study as a whole."""
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


def _explanation(picture: SlicePicture, capture: Dataset) -> sr.ImageContentItem:
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
