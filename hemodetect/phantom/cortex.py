"""The phantom's cerebral hemispheres: folded cortex, white matter, sulci and great fissures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hemodetect.phantom.plane import Array, Plane, share

CSF_HU = 6.0
"""HU of cerebrospinal fluid."""
WHITE_HU = 28.0
"""HU of white matter."""
GREY_HU = 39.0
"""HU of cortex."""
CORTEX_MM = 3.0
"""Thickness of the cortex."""
OUTSIDE = np.float32(-20)
"""Depth far outside a structure, in mm."""


@dataclass(frozen=True)
class BrainForm:
    """What differs between heads.

    Attributes:
        ventricles_mm: added to the radius of the ventricles.
        sulci_mm: half-width of an open sulcus at the surface.
        calcified: share of the pineal gland's and choroid plexus' full calcification.
    """

    ventricles_mm: float
    sulci_mm: float
    calcified: float


def cerebrum(plane: Plane, cavity: Array, form: BrainForm) -> Array:
    """Paint the hemispheres over the whole plane; the part of each voxel that is CSF."""
    x, y, z = plane.x, plane.y, plane.z
    callosum = 1 - np.sqrt(((y - 2) / 40) ** 2 + ((z - 14) / 25) ** 2)
    apart = np.clip(-callosum * 14, 0, 1) * np.clip((z + 4 + np.maximum(y, 0)) / 5, 0, 1)
    wave = plane.texture("folds", 1.8, (0, 1, 1)) * 1.1
    medial = np.abs(x - wave)
    medial_depth = medial * 1.3 + (1 - apart) * 40
    surface = np.minimum(cavity - 1.0, medial_depth)
    crease, fade = _creases(plane, cavity, surface)
    uneven = plane.texture("folds", 1.2)
    half_width = form.sulci_mm * np.clip(1.3 + 0.7 * uneven - 0.09 * np.maximum(surface, 0), 0.1, 3)
    sulcus = np.where(fade > 0, half_width - crease, OUTSIDE)
    sulcus = np.minimum(sulcus, 8 * fade - 1)
    sylvian = _sylvian(plane, form)
    ribbon = np.maximum(-surface, np.where(fade > 0.1, -crease - (1 - fade) * 2.5, OUTSIDE))
    ribbon = np.maximum(ribbon, sylvian) + CORTEX_MM
    plane.hu[...] = WHITE_HU + 0.7 * uneven + (GREY_HU - WHITE_HU) * share(ribbon, 2.2)
    film = (0.9 + 0.5 * form.sulci_mm) * np.clip(0.6 + 0.5 * uneven, 0, 1.6) - cavity
    fissure = (0.6 + form.sulci_mm * 0.5) * (1 + 0.4 * uneven) - medial - (1 - apart) * 20
    open_water = np.maximum(np.maximum(sulcus, sylvian), np.maximum(film, fissure))
    spaces = share(open_water, 1.6)
    plane.blend(spaces, CSF_HU + 2)
    return spaces


def _creases(plane: Plane, cavity: Array, surface: Array) -> tuple[Array, Array]:
    """Distance to the nearest sulcus in mm, and how open it is there (1 surface, 0 beyond its end).

    A sulcus is a zero surface of a texture that is read not at the voxel but where a ray from the
    depth of the brain through it meets the skull: so sulci run inward, as they do.
    """
    x, y, z = plane.x, plane.y, plane.z
    radius = np.sqrt(x * x + (y - 4) ** 2 + (z - 12) ** 2) + 1
    out = ((radius + np.maximum(cavity, 0)) / radius) ** np.float32(0.85)
    bend = plane.texture("folds", 0.62) * 1.6
    length = 17 + 6 * plane.texture("folds", 1.5)
    crease = np.full(out.shape, 20, dtype=np.float32)
    fade = np.clip((length - surface) / 7, 0, 1)
    rows, columns = np.nonzero((fade > 0) & (cavity > -3))
    if not len(rows):
        return crease, fade
    part = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    folds = plane.textures.at(
        "folds",
        (x * out + bend + 97 * (x > 0))[part],
        (4 + (y - 4) * out - bend)[part],
        (12 + (z - 12) * out + bend)[part],
        0.9,
    )
    step = float(np.abs(np.diff(plane.grid[0][0, :2]))[0])
    slope = np.hypot(*np.gradient(folds)) / max(step, 0.1)
    crease[part] = np.abs(folds) / np.maximum(slope, 0.04)
    return crease, fade


def _sylvian(plane: Plane, form: BrainForm) -> Array:
    """Depth in the CSF of the sylvian fissure: its stem, the insular cistern, two branches."""
    x, y, z = np.abs(plane.x), plane.y, plane.z
    depth = np.full(plane.hu.shape, OUTSIDE, dtype=np.float32)
    if z.min() > 34 or z.max() < -8:
        return depth
    wave = plane.texture("folds", 0.55)
    middle = 40 - 0.004 * (y + 4) ** 2 + 1.7 * wave
    ends = np.minimum(20 - np.abs(y + 4), 11 - np.abs(z - 15))
    sheet = np.minimum(0.7 + form.sulci_mm * (1.2 + 0.5 * wave) - np.abs(x - middle), ends)
    front = np.abs(y + 22 + 0.10 * (x - 38) - 1.8 * wave - 0.4 * (z - 8))
    front = np.minimum(0.7 + form.sulci_mm - front, np.minimum(x - 36, 7 - np.abs(z - 7)))
    rear = np.abs(y - 10 - 0.35 * (x - 38) - 1.8 * wave - 0.45 * (z - 16))
    rear = np.minimum(0.6 + form.sulci_mm - rear, np.minimum(x - 37, 9 - np.abs(z - 18)))
    stem = np.abs(y + 17 + 0.20 * (x - 22) + 1.2 * wave)
    stem = np.minimum(1.6 - stem, np.minimum(np.minimum(x - 10, 41 - x), 4 - np.abs(z - 3)))
    return np.maximum(np.maximum(sheet, front), np.maximum(rear, stem))
