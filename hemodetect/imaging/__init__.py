"""From files to slices: `read_study` is the door, `Study` what comes through it."""

from hemodetect.imaging.read import read_study
from hemodetect.imaging.sources import UploadedFile

__all__ = ["UploadedFile", "read_study"]
