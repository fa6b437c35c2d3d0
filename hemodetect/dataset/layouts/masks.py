"""NIfTI volumes with the bleeds outlined in a second NIfTI file: BHSD, INSTANCE 2022 and others.

Masks lie in a folder of their own under the volume's name (``images/1.nii.gz`` and
``ground truths/1.nii.gz``), or beside the volume (``1.nii.gz`` and ``1_mask.nii.gz``). A slice with an
outlined voxel bleeds, and the outlines give its boxes. A volume without a mask is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from hemodetect.dataset.files import FileStat
from hemodetect.dataset.layouts.study import LabelledStudy, nifti_files, stem

EXPECTED = (
    "NIfTI volumes with masks (images/1.nii.gz and masks/1.nii.gz, or 1_mask.nii.gz beside it)"
)
_MASK_FOLDERS = frozenset({
    "mask", "masks", "label", "labels", "labelstr", "ground truth", "ground truths", "ground_truth",
    "ground_truths", "seg", "segs", "segmentation", "segmentations", "annotations",
})  # fmt: skip
_MASK_ENDING = re.compile(r"[-_ ](mask|seg|segmentation|label|gt|ground_?truth)$", re.IGNORECASE)
_CHANNEL = re.compile(r"_0000$")  # nnU-Net's name of the only channel


def studies(root: Path, files: Sequence[FileStat]) -> list[LabelledStudy] | None:
    """One study a volume that has a mask."""
    masks: dict[str, str] = {}
    volumes: list[FileStat] = []
    for file in nifti_files(files):
        if _is_mask(file.file):
            masks[_key(file.file)] = file.file
        else:
            volumes.append(file)
    paired = [(volume, masks[key]) for volume in volumes if (key := _key(volume.file)) in masks]
    return [LabelledStudy(_key(v.file), (v,), mask=mask) for v, mask in paired] or None


def _is_mask(file: str) -> bool:
    folders = {part.lower() for part in PurePosixPath(file).parts[:-1]}
    return bool(folders & _MASK_FOLDERS) or _MASK_ENDING.search(stem(file)) is not None


def _key(file: str) -> str:
    return _CHANNEL.sub("", _MASK_ENDING.sub("", stem(file)))
