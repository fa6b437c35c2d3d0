"""A synthetic head-CT phantom, for the example study and tests. It contains no patient data."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from hemodetect.phantom.bleeds import Bleed, BleedType, Site, SkullInterior, add_bleed
from hemodetect.phantom.brain import paint_brain
from hemodetect.phantom.cortex import BrainForm
from hemodetect.phantom.plane import Array, Plane, Textures, share
from hemodetect.phantom.scanner import AIR_HU, Scanner, head_rest, noise, posed, softened
from hemodetect.phantom.skull import (
    cavity_depth,
    head_depth,
    paint_skull,
    paint_soft_tissue,
    vault_depth,
)

__all__ = ["Bleed", "BleedType", "Phantom", "head_phantom"]

LABEL_AREA_MM2 = 25.0
"""Area of blood above which a slice is labelled hemorrhagic."""
FIELD_OF_VIEW_MM = 200.0
"""Smallest side of a slice that shows the whole head."""
VERTEX_MM = 92.0
"""Highest z of a slice."""
MIDDLE_MM = 25.0
"""z of the middle slice of a short series."""
HARDENED_HU = 3.0
"""Added to brain next to bone: beam hardening."""
LARGEST_BLEED_ML = 150.0
"""Largest volume of one bleed."""
THREADS = min(4, os.cpu_count() or 1)
"""Slices computed at once."""


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic head.

    Attributes:
        hu: (slices, rows, columns) int16, base to vertex; the patient's left on the right.
        spacing_mm: (slice, row, column); the first is measured along the slice normal.
        bleed_mask: (slices, rows, columns) bool.
        bleeds: as in the call of `head_phantom`.
        tilt_degrees: of the gantry; positive where the back of a slice lies lower than its front.
    """

    hu: np.ndarray
    spacing_mm: tuple[float, float, float]
    bleed_mask: np.ndarray
    bleeds: tuple[Bleed, ...]
    tilt_degrees: float = 0.0

    @property
    def slice_labels(self) -> np.ndarray:
        """(slices,) bool: more than 25 square millimetres of blood in the slice."""
        area = self.bleed_mask.sum((1, 2)) * self.spacing_mm[1] * self.spacing_mm[2]
        return area > LABEL_AREA_MM2

    @property
    def bleed_volume_ml(self) -> float:
        """Volume of all blood."""
        return float(self.bleed_mask.sum() * np.prod(self.spacing_mm) / 1000)


def head_phantom(
    bleeds: Sequence[Bleed] = (),
    *,
    slices: int = 32,
    size: int = 512,
    slice_spacing_mm: float = 5.0,
    pixel_spacing_mm: float = 0.45,
    noise_hu: float = 4.0,
    tilt_degrees: float = 0.0,
    rotation_degrees: float = 0.0,
    offset_mm: tuple[float, float] = (0.0, 0.0),
    seed: int = 0,
) -> Phantom:
    """A synthetic head; equal arguments give equal heads.

    Args:
        bleeds: to be added, in this order.
        slices: number of slices; few slices show the level of the ventricles.
        size: rows and columns of a slice.
        slice_spacing_mm: along the slice normal; also the thickness of a slice.
        pixel_spacing_mm: between rows and between columns.
        noise_hu: standard deviation of the noise within the brain.
        tilt_degrees: gantry tilt, at most 30 either way.
        rotation_degrees: turns the face to the patient's left, at most 60 either way.
        offset_mm: moves the head to the patient's left and to the back.
        seed: of noise, folding, ventricle size and places of bleeds; it also adds up to
            4 degrees, 3 mm and 3 % of size to the scanner.

    Raises:
        ValueError: an argument out of range, or a bleed larger than the room in the head.
    """
    _check(slices, size, slice_spacing_mm, pixel_spacing_mm, noise_hu)
    _check_pose(tilt_degrees, rotation_degrees, bleeds)
    lying, form_of, places, folding, grain = np.random.default_rng(seed).spawn(5)
    turn, left, back, scale = lying.uniform(-1, 1, 4).tolist()
    scanner = Scanner(
        size,
        pixel_spacing_mm,
        tilt=math.radians(tilt_degrees),
        turn=math.radians(rotation_degrees + 4 * turn),
        offset_mm=(offset_mm[0] + 3 * left, offset_mm[1] + 3 * back),
        scale=1 + 0.03 * scale,
    )
    form = BrainForm(
        ventricles_mm=float(form_of.uniform(-0.5, 1.0)),
        sulci_mm=float(form_of.uniform(0.6, 1.1)),
        calcified=float(form_of.uniform(0.3, 1)),
    )
    sites = [Site.placed(bleed, places) for bleed in bleeds]
    textures = Textures.random(folding)
    drawn, inside = _painted_slices(slices, slice_spacing_mm, scanner, form, sites, textures)
    blood = np.zeros_like(drawn)
    for site in sites:
        np.maximum(blood, add_bleed(drawn, blood, site, inside), out=blood)
    hu = np.empty((slices, size, size), dtype=np.int16)
    mask = np.zeros((slices, size, size), dtype=bool)
    rest = head_rest(scanner)
    grains = grain.spawn(slices)

    def scan(index: int) -> None:
        values = np.maximum(posed(softened(drawn[index], scanner), scanner, AIR_HU), rest)
        values += noise(values, noise_hu, grains[index])
        hu[index] = np.rint(np.clip(values, -1024, 3071))
        if blood[index].max() > 0.5:
            mask[index] = posed(blood[index], scanner, 0.0) > 0.5

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(scan, range(slices)))
    spacing = (float(slice_spacing_mm), float(pixel_spacing_mm), float(pixel_spacing_mm))
    return Phantom(hu, spacing, mask, tuple(bleeds), float(tilt_degrees))


def _painted_slices(
    slices: int,
    slice_spacing_mm: float,
    scanner: Scanner,
    form: BrainForm,
    sites: Sequence[Site],
    textures: Textures,
) -> tuple[Array, SkullInterior]:
    """Noiseless slices in the head's own axes, each the mean of two planes within it."""
    x, v = scanner.drawn_axes()
    cos, sin = math.cos(scanner.tilt), math.sin(scanner.tilt)
    step = slice_spacing_mm / scanner.scale
    extent = (slices - 1) * step
    low = (min(VERTEX_MM, MIDDLE_MM + extent / 2) - extent) / cos
    shape = (slices, v.size, x.size)
    hu, cavity, vault, spaces, ventricle, grain = np.zeros((6, *shape), dtype=np.float32)
    heights = np.empty((slices, v.size, 1), dtype=np.float32)

    def draw(index: int) -> None:
        z = heights[index] = low + index * step / cos - v * sin
        for above in (-step / 4, step / 4):
            grid = (x, v * cos + above * sin, z + above * cos)
            plane = Plane(*grid, np.full(shape[1:], AIR_HU, np.float32), textures, grid)
            under_vault = vault_depth(*grid)
            depth, fluid, inner = _paint_plane(plane, under_vault, form, sites)
            hu[index] += plane.hu / 2
            cavity[index] += depth / 2
            vault[index] += under_vault / 2
            spaces[index] += fluid / 2
            ventricle[index] += inner / 2
        if sites:
            grain[index] = textures.at("cells", x, v * cos, z, 1.3)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(draw, range(slices)))
    y = (v * cos)[None]
    down = (math.sin(scanner.turn) * x + math.cos(scanner.turn) * v)[None]
    voxel_ml = (scanner.drawn_step_mm * scanner.scale) ** 2 * slice_spacing_mm / 1000
    inside = SkullInterior(
        x[None], y, heights, down, cavity, vault, spaces, ventricle, grain, voxel_ml
    )
    return hu, inside


def _paint_plane(
    plane: Plane, vault: Array, form: BrainForm, sites: Sequence[Site]
) -> tuple[Array, Array, Array]:
    """Paint one plane; depth below the inner table, part of CSF and part of ventricle."""
    cavity = cavity_depth(plane, vault)
    head = head_depth(plane, vault)
    if head.max() < -1:
        return cavity, np.zeros_like(plane.hu), np.zeros_like(plane.hu)
    paint_soft_tissue(plane, head, vault)
    paint_skull(plane, cavity, vault)
    inner = share(cavity, 1.1)
    if not inner.any():
        return cavity, inner, inner
    x, y, z = plane.grid
    for site in sites:
        x, y, z = site.displaced(x, y, z, cavity)
    content = Plane(x, y, z, np.zeros_like(plane.hu), plane.textures, plane.grid)
    spaces, ventricle = paint_brain(content, cavity, form)
    content.hu[...] += HARDENED_HU * np.exp(-np.maximum(cavity, 0) / 7)
    plane.blend(inner, content.hu)
    return cavity, spaces * inner, ventricle * inner


def _check(
    slices: int, size: int, slice_spacing_mm: float, pixel_spacing_mm: float, noise_hu: float
) -> None:
    if slices < 1:
        raise ValueError(f"slices is {slices}; a phantom has at least 1.")
    if slice_spacing_mm <= 0 or pixel_spacing_mm <= 0:
        raise ValueError(
            f"slice_spacing_mm is {slice_spacing_mm:g} and pixel_spacing_mm {pixel_spacing_mm:g}; "
            "both must be above 0."
        )
    if size * pixel_spacing_mm < FIELD_OF_VIEW_MM:
        raise ValueError(
            f"{size} pixels of {pixel_spacing_mm:g} mm show {size * pixel_spacing_mm:.0f} mm; "
            f"a head needs {FIELD_OF_VIEW_MM:.0f} mm: set pixel_spacing_mm to "
            f"{FIELD_OF_VIEW_MM * 1.15 / max(size, 1):.2g} or more."
        )
    if noise_hu < 0:
        raise ValueError(f"noise_hu is {noise_hu:g}; expected 0 or more.")


def _check_pose(tilt_degrees: float, rotation_degrees: float, bleeds: Sequence[Bleed]) -> None:
    if abs(tilt_degrees) > 30:
        raise ValueError(f"tilt_degrees is {tilt_degrees:g}; gantries tilt by 30 at most.")
    if abs(rotation_degrees) > 60:
        raise ValueError(f"rotation_degrees is {rotation_degrees:g}; expected -60 to 60.")
    for bleed in bleeds:
        if not 0 < bleed.volume_ml <= LARGEST_BLEED_ML:
            raise ValueError(
                f"volume_ml of the {bleed.kind} bleed is {bleed.volume_ml:g}; expected more than 0 "
                f"and at most {LARGEST_BLEED_ML:g}."
            )
