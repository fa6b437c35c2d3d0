"""NIfTI volumes with the bleeds outlined in a second NIfTI file: BHSD, INSTANCE 2022 and others.

Masks lie in a folder of their own, under the volume's name (``images/1.nii.gz`` and ``ground
truths/1.nii.gz``, or ``a/images/1.nii.gz`` and ``a/masks/1.nii.gz``), or beside the volume
(``1.nii.gz`` and ``1_mask.nii.gz``). A slice with an outlined voxel bleeds, and the outlines give its
boxes. A volume without a mask is left out. Each volume counts as a patient.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from hemodetect.dataset.files import FileStat
from hemodetect.dataset.layouts.study import LabelledStudy, nifti_files, stem
from hemodetect.errors import DatasetError

EXPECTED = (
    "NIfTI volumes with masks (images/1.nii.gz and masks/1.nii.gz, or 1_mask.nii.gz beside it)"
)
_MASK_FOLDERS = frozenset({
    "mask", "masks", "label", "labels", "labelstr", "ground truth", "ground truths", "ground_truth",
    "ground_truths", "seg", "segs", "segmentation", "segmentations", "annotations",
})  # fmt: skip
_MASK_ENDING = re.compile(r"[-_ ](mask|seg|segmentation|label|gt|ground_?truth)$", re.IGNORECASE)
_CHANNEL = re.compile(r"_0000$")  # nnU-Net's name of the only channel

_Place = tuple[tuple[str, ...], tuple[str, ...]]
"""The folders above the folder of volumes or masks; those below it, and the name without suffix."""


def studies(root: Path, files: Sequence[FileStat]) -> list[LabelledStudy] | None:
    """One study a volume that has a mask.

    Raises:
        DatasetError: two masks fit one volume.
    """
    masks: dict[_Place, str] = {}
    volumes: list[FileStat] = []
    for file in nifti_files(files):
        place = _mask_place(file.file)
        if place is None:
            volumes.append(file)
        elif place in masks:
            raise DatasetError(
                f"{root}: a volume has two masks; keep one file of outlines a volume."
            )
        else:
            masks[place] = file.file
    paired = [
        (volume, mask)
        for volume in volumes
        if (mask := next((masks[p] for p in _volume_places(volume.file) if p in masks), None))
    ]
    names = Counter(_name(volume.file) for volume, _ in paired)
    return [
        LabelledStudy(_name(v.file) if names[_name(v.file)] == 1 else v.file, (v,), mask=mask)
        for v, mask in paired
    ] or None


def _mask_place(file: str) -> _Place | None:
    """Where the volume of a mask lies; None for a volume."""
    folders = PurePosixPath(file).parts[:-1]
    for at, folder in enumerate(folders):
        if folder.lower() in _MASK_FOLDERS:
            name = _MASK_ENDING.sub("", stem(file))
            return folders[:at], (*folders[at + 1 :], name)
    if _MASK_ENDING.search(stem(file)):
        return folders, (_MASK_ENDING.sub("", stem(file)),)
    return None


def _volume_places(file: str) -> Iterator[_Place]:
    """Where a volume may stand for its mask: beside it, or in a folder beside one of masks."""
    folders = PurePosixPath(file).parts[:-1]
    for name in dict.fromkeys((stem(file), _name(file))):
        yield folders, (name,)
        for at in reversed(range(len(folders))):
            yield folders[:at], (*folders[at + 1 :], name)


def _name(file: str) -> str:
    return _CHANNEL.sub("", stem(file))
