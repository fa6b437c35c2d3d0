"""Synthetic heads with known bleeds, as HU, DICOM files or pictures."""
