"""Bleeds painted into normal slices: positives of every kind, from every scanner of a set.

From a few dozen bleeding patients a network learns their scanners. A painted bleed and its negative are
the same picture, so blood is the only difference, and its place is known.
Shapes, sizes and contrasts are ours, after what the kinds look like at 2 mm a pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from scipy import ndimage

from hemodetect.preprocessing import morphology
from hemodetect.preprocessing.model_input import resized

SIDE = 112
"""Pixels of the slices that bleeds are drawn on, about 2 mm each; painted is in full resolution."""
BONE = 235
"""Grey levels from here on are bone."""
_LARGEST = 0.4  # of the inside of the skull that a painted bleed may take
_SEEN = 8  # grey levels brighter than before, to count as painted
_FEWEST = 5  # pixels of 112 x 112 that a painted bleed takes
_ROWS, _COLUMNS = np.mgrid[:SIDE, :SIDE].astype(np.float32)
_KINDS_DRAWN = {
    "intraparenchymal": 0.27,
    "subdural": 0.18,
    "epidural": 0.15,
    "subarachnoid": 0.17,
    "intraventricular": 0.09,
    "small": 0.14,
}
"""How often each kind is drawn; "small" is an intraparenchymal bleed of 3 to 7 mm radius."""


@dataclass(frozen=True, eq=False)
class _Canvas:
    """A slice to paint on.

    Attributes:
        grey: (112, 112) float32.
        depth: (112, 112) pixels below the inner table, 0 outside.
        brain: median grey inside the skull.
    """

    grey: np.ndarray
    depth: np.ndarray
    brain: float


@dataclass(frozen=True, eq=False)
class _Blood:
    """Where a bleed is, (112, 112) in [0, 1], how much brighter than brain, and its dark rim."""

    cover: np.ndarray
    brighter: float
    oedema: np.ndarray | None = None
    only_brighter: bool = False

    def enlarged(self, side: int) -> _Blood:
        """The same at (side, side)."""
        oedema = None if self.oedema is None else _enlarged(self.oedema, side)
        return replace(self, cover=_enlarged(self.cover, side), oedema=oedema)


def inside_skull(grey: np.ndarray) -> np.ndarray | None:
    """(112, 112) bool: inside of the skull; None where the slice shows no closed one.

    Args:
        grey: (rows, rows) uint8 of a standard slice.
    """
    grey = resized(grey, SIDE)
    bone = grey >= BONE
    ring = morphology.closed(np.pad(bone, 4), 2)[4:-4, 4:-4]
    inside = morphology.opened(morphology.filled(ring) & ~bone, 2)
    pieces, count = ndimage.label(inside)
    if not count:
        return None
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    largest = morphology.filled(pieces == sizes.argmax())
    return largest if largest.sum() > max(700, 0.3 * (grey > 10).sum()) else None


def painted(
    grey: np.ndarray, inside: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    """The slice with one bleed or two, and where they are.

    Args:
        grey: (rows, rows) uint8 of a standard slice without a bleed.
        inside: (112, 112) of `inside_skull`.
        random: source of kinds, places and contrasts.

    Returns:
        (rows, rows) uint8 and (rows, rows) float32 in [0, 1]; None where the drawn bleed had no place.
    """
    before, small = grey.astype(np.float32), resized(grey, SIDE).astype(np.float32)
    depth = ndimage.distance_transform_edt(inside).astype(np.float32)
    canvas = _Canvas(small, depth, float(np.median(small[inside])))
    kinds = random.choice(
        list(_KINDS_DRAWN), 1 if random.random() < 0.75 else 2, p=list(_KINDS_DRAWN.values())
    )
    image, lesion = before.copy(), np.zeros_like(before)
    for kind in kinds:
        blood = _DRAWERS[kind](canvas, random)
        if blood is not None:
            blood = blood.enlarged(len(grey))
            image = _with_blood(image, blood, canvas.brain, random)
            lesion = np.maximum(lesion, blood.cover)
    image = np.clip(image, 0, 255)
    lesion = lesion * (image - before > _SEEN)
    share = (SIDE / len(grey)) ** 2
    if lesion.sum() * share <= _FEWEST:
        return None
    if (lesion > 0.5).sum() * share > _LARGEST * inside.sum():
        return None
    return np.rint(image).astype(np.uint8), lesion


def smooth_noise(random: np.random.Generator, parts: float, side: int = SIDE) -> np.ndarray:
    """(side, side) float32 of mean 0 and deviation 1; it varies over one in `parts` of the side."""
    coarse = max(2, int(parts))
    field = random.standard_normal((coarse, coarse)).astype(np.float32)
    field = _enlarged(field, side)
    return (field - field.mean()) / (field.std() + 1e-6)


def _enlarged(field: np.ndarray, side: int) -> np.ndarray:
    picture = Image.fromarray(field.astype(np.float32))
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR))


def _with_blood(
    image: np.ndarray, blood: _Blood, brain: float, random: np.random.Generator
) -> np.ndarray:
    if blood.oedema is not None:
        image = image - blood.oedema
    texture = 1 + 0.08 * smooth_noise(random, SIDE / 5, len(image))
    target = (brain + blood.brighter) * texture + random.normal(0, 4, image.shape)
    if blood.only_brighter:
        target = np.maximum(target, image)
    return (image * (1 - blood.cover) + target * blood.cover).astype(np.float32)


def _blob(
    canvas: _Canvas, random: np.random.Generator, radii: tuple[float, float], least: float
) -> tuple[np.ndarray, np.ndarray, float] | None:
    """A rugged ellipse: its cover, the distance (112, 112) from its middle, and its radius; None
    without room.
    """
    places = np.argwhere(canvas.depth > least)
    if not len(places):
        return None
    row, column = places[random.integers(len(places))]
    radius = float(np.exp(random.uniform(*np.log(radii))))
    angle, flat = random.uniform(0, np.pi), random.uniform(0.55, 1.0)
    along = (_ROWS - row) * np.cos(angle) + (_COLUMNS - column) * np.sin(angle)
    across = (_COLUMNS - column) * np.cos(angle) - (_ROWS - row) * np.sin(angle)
    rugged = smooth_noise(random, SIDE / max(4, 0.8 * radius)) * radius * 0.22
    distance = np.hypot(along, across / flat) + rugged
    cover = np.clip((radius - distance) / 1.3 + 0.5, 0, 1) * (canvas.depth > 0)
    return cover, distance, radius


def _intraparenchymal(canvas: _Canvas, random: np.random.Generator) -> _Blood | None:
    blob = _blob(canvas, random, (3.0, 14.0), 4)
    if blob is None:
        return None
    cover, distance, radius = blob
    oedema = None
    if random.random() < 0.6:
        rim = radius + random.uniform(1, 5)
        ring = np.clip((rim - distance) / 1.5 + 0.5, 0, 1) * (canvas.depth > 1) * (1 - cover)
        oedema = ring * random.uniform(8, 28)
    return _Blood(cover, random.uniform(28, 110), oedema)


def _small(canvas: _Canvas, random: np.random.Generator) -> _Blood | None:
    blob = _blob(canvas, random, (1.6, 3.5), 2)
    return None if blob is None else _Blood(blob[0], random.uniform(28, 110))


def _along_the_skull(
    canvas: _Canvas,
    random: np.random.Generator,
    half_width: tuple[float, float],
    thickness: tuple[float, float],
    bluntness: float,
) -> np.ndarray:
    """Cover of a bleed on the inner table: radians to either side, pixels thick at its middle."""
    row, column = np.argwhere(canvas.depth > 0).mean(axis=0)
    angle = np.arctan2(_ROWS - row, _COLUMNS - column)
    middle = random.uniform(-np.pi, np.pi)
    if random.random() < 0.75:  # most lie at the side
        middle = random.choice([0.0, np.pi]) + random.uniform(-0.9, 0.9)
    apart = np.abs((angle - middle + np.pi) % (2 * np.pi) - np.pi) / random.uniform(*half_width)
    thickest = np.exp(random.uniform(*np.log(thickness)))
    profile = thickest * np.clip(1 - apart**2, 0, 1) ** bluntness
    profile = profile * (1 + 0.15 * smooth_noise(random, SIDE / 14))
    cover = np.clip((profile - canvas.depth) / 1.2 + 0.3, 0, 1)
    return cover * (canvas.depth > 0) * (profile > 0.5)


def _subdural(canvas: _Canvas, random: np.random.Generator) -> _Blood:
    cover = _along_the_skull(canvas, random, (0.5, 1.3), (1.6, 8.0), 0.4)
    # A quarter are older, or mixed with fluid: little brighter than brain.
    brighter = random.uniform(15, 45) if random.random() < 0.25 else random.uniform(28, 110)
    return _Blood(cover, brighter)


def _epidural(canvas: _Canvas, random: np.random.Generator) -> _Blood:
    cover = _along_the_skull(canvas, random, (0.25, 0.6), (2.2, 11.0), 0.8)
    return _Blood(cover, random.uniform(28, 110))


def _subarachnoid(canvas: _Canvas, random: np.random.Generator) -> _Blood | None:
    around = ndimage.gaussian_filter(canvas.grey, 5)
    dark = np.clip((canvas.brain + 2 - canvas.grey) / 18, 0, 1)
    lines = np.clip((around - canvas.grey) / 14, 0, 1)
    spaces = np.maximum(dark, lines) * (canvas.depth > 0)
    if random.random() < 0.7:  # sulci rather than ventricles
        spaces = spaces * np.clip((26 - canvas.depth) / 8, 0, 1)
    places = np.argwhere(spaces > 0.4)
    if not len(places):
        return None
    row, column = places[random.integers(len(places))]
    reach = random.uniform(6, 22)
    near = np.exp(-((_ROWS - row) ** 2 + (_COLUMNS - column) ** 2) / (2 * reach**2))
    filled = np.clip(1.5 * near + 0.1 * smooth_noise(random, SIDE / 8), 0, 1) > 0.45
    cover = np.clip(1.3 * spaces, 0, 1) * filled
    cover = ndimage.gaussian_filter(cover.astype(np.float32), 0.6) * (canvas.depth > 0)
    return _Blood(cover, random.uniform(25, 80), only_brighter=True)


def _intraventricular(canvas: _Canvas, random: np.random.Generator) -> _Blood | None:
    central = np.hypot((_ROWS - SIDE / 2) / 30, (_COLUMNS - SIDE / 2) / 22) < 1
    dark = (canvas.grey < canvas.brain - 14) & central & (canvas.depth > 7)
    pieces, count = ndimage.label(ndimage.binary_opening(dark))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    sizes[0] = 0
    large = np.flatnonzero(sizes >= 8)
    if not len(large):
        return None
    chosen = large if random.random() < 0.5 else random.choice(large, 1)
    filled = np.isin(pieces, chosen)
    if random.random() < 0.6:  # settled at the back, under a level
        filled &= np.quantile(np.argwhere(filled)[:, 0], random.uniform(0, 0.8)) <= _ROWS
    grown = int(random.integers(0, 3))
    if grown:
        filled = ndimage.binary_dilation(filled, iterations=grown)
    cover = np.clip(1.2 * ndimage.gaussian_filter(filled.astype(np.float32), 0.7), 0, 1)
    return _Blood(cover * (canvas.depth > 2), random.uniform(28, 110))


_DRAWERS: dict[str, Callable[[_Canvas, np.random.Generator], _Blood | None]] = {
    "intraparenchymal": _intraparenchymal,
    "subdural": _subdural,
    "epidural": _epidural,
    "subarachnoid": _subarachnoid,
    "intraventricular": _intraventricular,
    "small": _small,
}
