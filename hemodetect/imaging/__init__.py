"""From files to slices: `read_study` returns a `Study`."""

from hemodetect.imaging.read import read_study
from hemodetect.imaging.sources import UploadedFile

__all__ = ["UploadedFile", "read_study"]
