"""The example study."""

from __future__ import annotations

import streamlit as st

from hemodetect.imaging import UploadedFile
from hemodetect.phantom.files import dicom_files
from hemodetect.phantom.head import Bleed, head_phantom


@st.cache_data(show_spinner="Making the example", max_entries=1)
def example_files() -> list[UploadedFile]:
    """A phantom with a 30 ml bleed, as the DICOM files that a user would upload."""
    phantom = head_phantom([Bleed("intraparenchymal", 30)], seed=3)
    return [UploadedFile(name, data) for name, data in dicom_files(phantom)]
