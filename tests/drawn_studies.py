"""Heads and necks of a few pixels, and the DICOM files of studies made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

SIDE, PIXEL_MM, STEP_MM = 64, 3.0, 5.0


def slice_hu(
    z_mm: float, noise: float = 4.0, vessels: bool = False, seed: int = 0, shift_mm: float = 0.0
) -> np.ndarray:
    """(64, 64) int16: brain inside a ring of bone from 0 to 150 mm, neck or shoulders below."""
    rows, columns = np.mgrid[:SIDE, :SIDE] * PIXEL_MM - SIDE * PIXEL_MM / 2
    columns = columns - shift_mm
    hu = np.full((SIDE, SIDE), -1000.0)
    if z_mm >= 0:
        size = np.sqrt(max(0.05, 1 - (z_mm / 165) ** 2))
        radius = np.hypot(rows / (88 * size), columns / (70 * size))
        hu[radius < 1] = 900
        hu[radius < 0.86] = 32
        if vessels:
            for x in (-25, 0, 25):
                hu[np.hypot(rows, columns - x) < 5] = 320
    else:
        wide = 60 + max(0.0, -z_mm - 120)
        hu[np.hypot(rows / 60, columns / wide) < 1] = 45
        hu[np.hypot(rows - 25, columns) < 12] = 600
    tissue = hu > -500
    random = np.random.default_rng(seed + round(10 * z_mm) + 10_000)
    return (hu + random.normal(0, noise, hu.shape) * tissue).astype(np.int16)


def positions(low: float = 0, high: float = 150, step: float = STEP_MM) -> list[float]:
    return [float(z) for z in np.arange(low, high + step / 2, step)]


def series(ct, number: int, heights: list[float], thickness: float = STEP_MM, **options: Any):
    """Data sets of one series; `options` are those of `slice_hu` and DICOM attributes."""
    slice_options = {
        k: options.pop(k) for k in ("noise", "vessels", "seed", "shift_mm") if k in options
    }
    uid = options.pop("SeriesInstanceUID", f"1.2.3.{number}")
    data_sets = []
    for index, z in enumerate(heights, start=1):
        attributes = {
            "SeriesInstanceUID": uid,
            "SOPInstanceUID": f"1.2.3.{number}.{index}",
            "InstanceNumber": index,
            "SliceThickness": thickness,
            "PixelSpacing": [PIXEL_MM, PIXEL_MM],
        }
        values = slice_hu(z, **({"seed": number} | slice_options))
        data_sets.append(ct(values, z=z, **(attributes | options)))
    return data_sets
