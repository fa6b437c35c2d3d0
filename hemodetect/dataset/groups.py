"""Folders that are one person: a patient group is on one side of a patient split only."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from itertools import combinations

from hemodetect.dataset.cache import Dataset
from hemodetect.imaging.naming import natural_key

SAME_SCAN_SHARE = 0.5
"""Part of the smaller folder's slices that must be in the other one, pixel for pixel."""


def patient_groups(dataset: Dataset) -> dict[str, str]:
    """Name of the patient group of every patient: its first member's, in natural order.

    Folders that hold the same slices are joined. One person scanned twice is not found by this; name
    such pairs in the file of a split and train with that.
    """
    slices: dict[str, set[bytes]] = defaultdict(set)
    for patient, grey in zip(dataset.slices["patient"], dataset.grey(128), strict=True):
        # Slices of one grey level (air) say nothing about whose they are.
        if grey.min() != grey.max():
            slices[patient].add(hashlib.sha256(grey.tobytes()).digest())
    groups = {patient: {patient} for patient in dataset.slices["patient"].unique()}
    for a, b in combinations(sorted(slices), 2):
        shared = len(slices[a] & slices[b])
        if shared and shared >= SAME_SCAN_SHARE * min(len(slices[a]), len(slices[b])):
            joined = groups[a] | groups[b]
            for member in joined:
                groups[member] = joined
    return {patient: min(members, key=natural_key) for patient, members in groups.items()}
