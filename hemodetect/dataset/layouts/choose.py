"""Which layout a folder has: the first that finds its table or its folders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hemodetect.dataset.files import FileStat
from hemodetect.dataset.layouts import classes, cq500, ct_ich_volumes, labels_table, masks, rsna
from hemodetect.dataset.layouts.study import LabelledStudy

_LAYOUTS = (rsna, cq500, ct_ich_volumes, labels_table, masks, classes)
_READERS: tuple[Callable[[Path, Sequence[FileStat]], list[LabelledStudy] | None], ...] = tuple(
    layout.studies for layout in _LAYOUTS
)
EXPECTED: tuple[str, ...] = tuple(layout.EXPECTED for layout in _LAYOUTS)
"""Every layout in words."""


def labelled_studies(root: Path, files: Sequence[FileStat]) -> list[LabelledStudy] | None:
    """The labelled studies of a set of DICOM or NIfTI files; None for a set of pictures.

    Raises:
        DatasetError: a table of labels cannot be understood, or fits no file.
    """
    for studies in _READERS:
        found = studies(root, files)
        if found is not None:
            return found
    return None
