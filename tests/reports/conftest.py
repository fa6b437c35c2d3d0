"""DICOM results that several test files read."""

from __future__ import annotations

import pytest
from dicom_result_files import results_of


@pytest.fixture(scope="module")
def result_files() -> dict[str, bytes]:
    """The results of a study with three pictures and a reader."""
    return results_of()
