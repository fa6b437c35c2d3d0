"""Data sets of drawn heads: each person has a different skull, each scan a different pose and noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from hemodetect.dataset.cache import Dataset

SLICES = 12


@dataclass(frozen=True)
class Scan:
    """One folder: the person (a seed), the pose of the head, and the location of a bleed."""

    person: int
    turn_degrees: float = 0.0
    scale: float = 1.0
    seed: int = 0
    bleed: tuple[float, float] | None = None


def drawn_dataset(folder: Path, scans: Sequence[Scan]) -> Dataset:
    """Scan number i is patient ``p<i>``; even ones are normal, odd ones hemorrhagic."""
    np.save(folder / "grey128.npy", np.concatenate([_slices(scan) for scan in scans]))
    return Dataset(folder, "f" * 16, slice_table(len(scans), SLICES), (), folder)


def slice_table(patients: int, each: int) -> pd.DataFrame:
    """The table of `patients` folders ``p<i>`` with `each` slices; odd ones are hemorrhagic."""
    names = [f"p{i}" for i in range(patients)]
    return pd.DataFrame(
        {
            "file": [f"{p}/{n}.png" for p in names for n in range(each)],
            "slice": [f"{p}/{n}" for p in names for n in range(each)],
            "patient": np.repeat(names, each),
            "series": "",
            "number": np.tile(np.arange(each), patients),
            "label": np.repeat(np.arange(patients) % 2, each).astype(np.int8),
            "size": 5000,
            "rows": 128,
            "columns": 128,
        }
    )


@cache
def _slices(scan: Scan) -> np.ndarray:
    """(slices, 128, 128) uint8; each scan is drawn once, however many tests use it."""
    person, noise = np.random.default_rng(scan.person), np.random.default_rng(1000 + scan.seed)
    lobes = person.normal(0, 0.03, (2, 5))
    around, level = person.uniform(0, 2 * math.pi, 40), person.uniform(0, SLICES, 40)
    # Bright spots sit on the bone, dark ones anywhere: a bright spot in the brain is a bleed.
    bright = np.arange(40) < 20
    out = np.where(bright, 0.82, person.uniform(0.1, 0.7, 40))
    details = np.stack([out * np.cos(around), out * np.sin(around), level, bright * 255], axis=1)
    down, right = np.mgrid[-64:64, -64:64] / (44 * scan.scale)
    cos, sin = math.cos(math.radians(scan.turn_degrees)), math.sin(math.radians(scan.turn_degrees))
    y, x = down * cos + right * sin, right * cos - down * sin
    angle, waves = np.arctan2(x, y), np.arange(2, 7)[:, None, None]
    edge = 1 + (lobes[0, :, None, None] * np.cos(waves * angle)).sum(axis=0)
    edge += (lobes[1, :, None, None] * np.sin(waves * angle)).sum(axis=0)
    depth = np.hypot(y, x * 1.2) / edge
    pictures = []
    for number in range(SLICES):
        size = 0.8 + 0.02 * number
        picture = np.where(depth < size, 120.0, 0.0)
        for at_y, at_x, level, grey in details:
            if abs(number - level) < 2:
                near = np.hypot(y - at_y, x - at_x) < 0.09
                picture[near & (depth < size)] = grey
        if scan.bleed:
            picture[np.hypot(y - scan.bleed[0], x - scan.bleed[1]) < 0.2] = 190
        picture[(depth > size * 0.84) & (depth < size)] = 255
        picture = ndimage.gaussian_filter(picture, 0.6) + noise.normal(0, 4, picture.shape)
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
    return np.stack(pictures)
