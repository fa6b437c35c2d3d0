"""Heat maps as DICOM secondary captures (PS3.3, A.8.1)."""

from __future__ import annotations

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from hemodetect import __version__
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.reports.dicom_identity import MANUFACTURER, NOT_FOR_CARE, ResultSet
from hemodetect.reports.dicom_items import clean_line
from hemodetect.reports.study_pictures import SlicePicture


def secondary_capture(
    picture: SlicePicture, number: int, slices: int, result_set: ResultSet
) -> Dataset:
    """A secondary capture of a slice with its heat map: RGB, not compressed.

    Args:
        picture: with an overlay.
        number: of the picture in the set, from 1.
        slices: number of slices in the series.
        result_set: the set that the file belongs to.

    Raises:
        ValueError: the picture has no overlay.
    """
    overlay = picture.overlay
    if overlay is None:
        raise ValueError(f"picture {number} has no overlay; expected a heat map over the slice.")
    description = (
        f"Heat map ({clean_line(picture.method)}) of the {FAMILY_NAMES[picture.family]} model"
        f" over slice {picture.index + 1} of {slices}"
    )
    image = Dataset()
    result_set.label(image, "heat maps")
    image.SOPClassUID = SecondaryCaptureImageStorage
    image.SOPInstanceUID = result_set.uid(f"picture {number}")
    image.SeriesInstanceUID = result_set.uid("pictures")
    image.SeriesNumber, image.InstanceNumber = 1, number
    image.Modality, image.BodyPartExamined, image.ConversionType = "OT", "HEAD", "WSD"
    image.DateOfSecondaryCapture, image.TimeOfSecondaryCapture = (
        image.ContentDate,
        image.ContentTime,
    )
    image.ImageType = ["DERIVED", "SECONDARY"]
    image.DerivationDescription = f"{description}, by {MANUFACTURER} {__version__}. {NOT_FOR_CARE}"
    image.ImageComments = f"{NOT_FOR_CARE} {description}."
    # The orientation of the source rows is not stored; a guess could swap left and right.
    image.PatientOrientation = ""
    # No BurnedInAnnotation: text in the source pixels is still there, and nobody has checked for it.
    image.SamplesPerPixel, image.PhotometricInterpretation = 3, "RGB"
    image.PlanarConfiguration, image.PixelRepresentation = 0, 0
    image.Rows, image.Columns, _ = overlay.shape
    image.BitsAllocated, image.BitsStored, image.HighBit = 8, 8, 7
    image.PixelData = overlay.tobytes()
    image["PixelData"].VR = "OB"
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    return image
