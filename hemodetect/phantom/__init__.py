"""Synthetic heads with known bleeds, as HU, DICOM files or pictures."""

from hemodetect.phantom.bleeds import Bleed
from hemodetect.phantom.head import head_phantom

__all__ = ["Bleed", "head_phantom"]
