"""The phantom inside the skull: dura, deep grey matter, ventricles, cisterns and hindbrain."""

from __future__ import annotations

import numpy as np

from hemodetect.phantom.cortex import CSF_HU, BrainForm, cerebrum
from hemodetect.phantom.plane import Array, Plane, ball, joined, rod, share

DURA_HU = 60.0
"""HU of the falx."""
CHOROID_HU = 42.0
"""HU of choroid plexus and pineal gland without calcium."""
CALCIUM_HU = 190.0
"""HU of full calcification."""


def paint_brain(content: Plane, cavity: Array, form: BrainForm) -> tuple[Array, Array]:
    """Paint everything inside the skull over the whole of `content`.

    Args:
        content: a plane whose coordinates are those of the brain, displaced where a bleed takes
            room.
        cavity: depth below the inner table, not displaced.
        form: what differs between heads.

    Returns:
        The part of each voxel that is subarachnoid CSF, and the part that is ventricle.
    """
    below = tentorium_height(content.x, content.y) - content.z
    spaces = cerebrum(content, cavity, form)
    if content.z.min() < 32 and bool((below > -3).any()):
        _hindbrain(content, cavity, below, spaces)
    ventricle = np.zeros_like(content.hu)
    centre, reach = (0, 10, 10), (46, 52, 40)
    middle = content.near(centre, reach)
    around = content.holding(spaces).near(centre, reach)
    within = content.holding(ventricle).near(centre, reach)
    if middle and around and within:
        _deep_grey(middle)
        _midbrain_and_cisterns(middle, around.hu)
        _ventricles(middle, around.hu, within.hu, form)
        _calcifications(middle, form)
    _dura(content, cavity, below)
    return spaces, ventricle


def tentorium_height(x: Array, y: Array) -> Array:
    """Height of the tentorium's sheet at (x, y), in mm of z."""
    return 27 - 0.34 * np.abs(x) - np.maximum(y - 42, 0) * 0.50 - np.maximum(36 - y, 0) * 0.36


def ventricle_depth(x: Array, y: Array, z: Array, grown_mm: float) -> Array:
    """Depth in the lateral ventricles, the third and the fourth."""
    ax = np.abs(x)
    horn = rod(ax, y, z, (15, -37, 19), (8, -22, 24), (2.5, 5.5))
    horn = joined(horn, rod(ax, y, z, (8, -22, 24), (6, -6, 30), (5.5, 5.4)), 3)
    body = rod(ax, y, z, (6, -6, 30), (13, 17, 32), (5.4, 5.4))
    body = joined(body, rod(ax, y, z, (13, 17, 32), (24, 37, 20), (5.4, 7)), 4)
    back = rod(ax, y, z, (24, 37, 20), (25, 57, 15), (6.6, 2.4))
    low = rod(ax, y, z, (24, 37, 20), (34, 18, 4), (5, 2.4))
    low = joined(low, rod(ax, y, z, (34, 18, 4), (30, -8, -6), (2.4, 1.8)), 3)
    lateral = joined(joined(horn, body, 3), joined(back, low, 4), 4)
    caudate = ball(ax, y, z, (16, -19, 22), (7.5, 13, 10))
    thalamus = ball(ax, y, z, (12, 8, 17), (11, 17, 11.5))
    lateral = np.minimum(lateral, np.minimum(-caudate, -thalamus) + 0.5) + grown_mm
    lateral = np.minimum(lateral, ax - 0.9)
    third = np.minimum(2.2 - ax, np.minimum(13 - np.abs(y - 3), 10.5 - np.abs(z - 12)))
    fourth = ball(x, y, z, (0, 33, -13), (8, 5.5, 10)) + 0.4 * grown_mm
    fourth = np.maximum(fourth, rod(x, y, z, (0, 25, 10), (0, 30, -6), (1.2, 1.8)))
    return np.maximum(lateral, np.maximum(third + 0.6 * grown_mm, fourth))


def _ventricles(part: Plane, spaces: Array, drawn: Array, form: BrainForm) -> None:
    if part.z.min() > 48:
        return
    depth = ventricle_depth(part.x, part.y, part.z, form.ventricles_mm)
    above = part.z > tentorium_height(part.x, part.y)
    part.hu[...] -= 3.0 * np.exp(-np.maximum(-depth, 0) / 4) * above * (1 - spaces)
    inside = share(depth, 1.2)
    part.blend(inside, CSF_HU - 1)
    drawn[...] = inside
    spaces *= 1 - inside


def _deep_grey(part: Plane) -> None:
    if part.z.min() > 34 or part.z.max() < -2:
        return
    x, y, z = np.abs(part.x), part.y, part.z
    slanted = x + 0.30 * (y + 2)
    for depth, hu, edge in (
        (ball(slanted, y, z, (28, -3, 13), (5.5, 17, 11)), 38.5, 2.5),
        (ball(slanted, y, z, (20.5, -1, 12), (4.5, 11, 8)), 36.5, 3.0),
        (ball(x, y, z, (15, -18, 22), (6, 12, 9)), 39.0, 2.0),
        (ball(x, y, z, (11, 8, 16), (9, 14, 10)), 36.5, 3.0),
    ):
        part.paint(depth, hu, edge)


def _hindbrain(plane: Plane, cavity: Array, below: Array, spaces: Array) -> None:
    x, y, z = plane.x, plane.y, plane.z
    ax = np.abs(x)
    margin = np.minimum(below - 0.5, (y - 27 + 0.55 * np.maximum(ax - 14, 0)) * 0.7)
    low = np.minimum(0.83 * (y - 4) - 0.55 * (ax - 12) + 4, 1 - z + 0 * ax)
    under = share(np.maximum(margin, low), 1.5)
    uneven = plane.texture("folds", 0.5)
    around = np.sqrt(x * x * 0.8 + (y - 30) ** 2 + 0.5 * (z + 10) ** 2)
    leaves = np.sin(around * 1.5 + uneven * 1.6)
    outer = np.clip(1 - (cavity - 2) / 20, 0, 1)
    value = 32.0 + outer * (3.5 + 1.8 * leaves) + 0.8 * uneven
    value += 2.0 * share(ball(x, y, z, (0, 52, -4), (8, 18, 22)), 4)
    cerebellum = cavity - 1.4 + 0.5 * leaves
    notch = np.minimum(2.4 - ax, np.minimum((cavity.max() - cavity) * 0 + y - 72, 2 - z))
    vallecula = 6.5 - np.hypot(ax, (y - 66) * 0.35) - np.maximum(z + 24, 0) + 0.8 * uneven
    cerebellum = np.minimum(cerebellum, np.minimum(-notch, -vallecula))
    cerebellum = np.minimum(cerebellum, np.minimum(y - 25 + 0.7 * np.maximum(ax - 18, 0), z + 42))
    pons = joined(
        ball(x, y, z, (0, 15, -11), (16.5, 11.5, 14)),
        rod(ax, y, z, (10, 20, -11), (26, 34, -12), (8.5, 10)),
        6,
    )
    medulla = rod(x, y, z, (0, 19, -22), (0, 29, -44), (9, 6.5))
    cord = rod(x, y, z, (0, 29, -44), (0, 31, -110), (6.5, 5.8))
    stem = np.maximum(joined(pons, medulla, 5), cord)
    value += (32.5 - value) * share(stem, 2)
    brain = joined(cerebellum, np.minimum(stem, cavity - 1.5), 4)
    fluid = 1 - share(brain, 1.8)
    value += (CSF_HU + 3 - value) * fluid
    plane.blend(under, value)
    spaces += (fluid - spaces) * under


def _midbrain_and_cisterns(part: Plane, spaces: Array) -> None:
    """Suprasellar, interpeduncular, ambient and quadrigeminal cisterns around the midbrain."""
    if part.z.min() > 24 or part.z.max() < -14:
        return
    x, y, z = part.x, part.y, part.z
    ax = np.abs(x)
    uneven = part.texture("folds", 0.45)
    star = np.sqrt((ax / 15) ** 2 + ((y + 9) / 12) ** 2)
    arms = 1 + 0.22 * np.cos(6 * np.arctan2(ax, -(y + 9)))
    star = np.minimum((arms - star) * 11 + 0.8 * uneven, 6.5 - np.abs(z - 2))
    peduncles = joined(
        rod(ax, y, z, (8, 9, 8), (8, 13, 4), (8, 8)), ball(x, y, z, (0, 17, 8), (15, 9, 14)), 5
    )
    peduncles = np.minimum(peduncles, np.hypot(ax, y - 1) - 4.5)
    tectum = ball(ax, y, z, (4.5, 24, 9), (5.5, 5, 9))
    midbrain = np.minimum(joined(peduncles, tectum, 3), 12 - np.abs(z - 6))
    open_mm = np.clip(1.4 + 0.10 * (y - 8), 0.6, 3.4) + 0.6 * uneven
    moat = np.minimum(np.minimum(midbrain + open_mm, 9 - np.abs(z - 9)), 8 - midbrain)
    quadrigeminal = np.minimum(ball(x, y, z, (0, 30.5, 13), (14, 5, 8)) + 0.5 * uneven, 40 - y)
    between = np.minimum(5.5 - np.hypot(ax, y - 1), 9 - np.abs(z - 3))
    chiasm = np.minimum(rod(ax, y, z, (0, -10, 5), (9, -17, 5), (2.2, 2)), 3 - np.abs(z - 5))
    tracts = rod(ax, y, z, (0, -9, 5), (11, 2, 6), (1.8, 1.4))
    stalk = np.minimum(2 - np.hypot(ax, y + 7), 5 - np.abs(z - 2))
    basilar = np.minimum(1.7 - np.hypot(x - 0.5, y - 0.5), 8 - np.abs(z + 3))
    carotid = np.minimum(2.1 - np.hypot(ax - 10, y + 9), 6 - np.abs(z - 2))
    cistern = np.maximum(np.maximum(star, moat), np.maximum(quadrigeminal, between))
    fluid = share(cistern, 1.8)
    solid = np.maximum(midbrain, np.maximum(np.maximum(chiasm, tracts), stalk))
    nerve = share(solid, 1.4) * np.maximum(fluid, share(midbrain, 1.4))
    vessel = share(np.maximum(basilar, carotid), 1.2)
    part.blend(fluid, CSF_HU + 2)
    part.blend(nerve, 34)
    part.blend(vessel, 46)
    np.maximum(spaces, fluid, out=spaces)
    spaces *= 1 - np.maximum(nerve, vessel)


def _calcifications(part: Plane, form: BrainForm) -> None:
    for side in part.both_sides((22, 36, 17), (8, 8, 10)):
        grains = np.clip(0.6 + 0.5 * side.texture("cells"), 0, 1.4)
        plexus = rod(side.x, side.y, side.z, (23, 39, 22), (22, 35, 15), (2.4, 1.8))
        side.paint(plexus + 1.4, CHOROID_HU, 1.5)
        side.blend(share(plexus, 2) * form.calcified, CALCIUM_HU * grains)
    gland = part.near((0, 24, 17), (5, 6, 6))
    if gland is not None:
        grains = np.clip(0.6 + 0.5 * gland.texture("cells"), 0, 1.4)
        pineal = ball(gland.x, gland.y, gland.z, (0, 25, 17), (2.2, 3, 3))
        gland.paint(pineal + 1.5, CHOROID_HU, 1.5)
        gland.blend(share(pineal, 2) * form.calcified, CALCIUM_HU * grains)


def _dura(plane: Plane, cavity: Array, below: Array) -> None:
    x, y, z = plane.x, plane.y, plane.z
    ax = np.abs(x)
    strip = plane.near((0, 0, 50), (12, 100, 60))
    if strip is not None:
        wave = strip.texture("folds", 1.8, (0, 1, 1)) * 1.1
        height = np.sqrt(((strip.y - 2) / 46) ** 2 + ((strip.z - 12) / 36) ** 2) - 1
        edge = np.where(strip.y > 30, (strip.z - 14 + (strip.y - 30)) / 20, height)
        falx = np.minimum(0.7 - np.abs(strip.x - wave), edge * 30)
        falx = np.minimum(falx, strip.z - 2)
        strip.blend(share(falx, 1.2) * np.clip(0.5 + 0.010 * (strip.y + 40), 0.35, 1), DURA_HU)
    sinus = 4.5 - ax - np.maximum(cavity - 1, 0) * np.where(z > 60, 1.4, 0.7)
    sinus = np.minimum(sinus, np.where((y > 0) & (z > 4), 20.0, -20.0))
    plane.paint(sinus, 52, 2)
    if z.min() < 34:
        free = np.minimum(np.hypot(ax * 1.0, (y - 28) * 0.45) - 14, 60.0)
        leaf = np.minimum(1.0 - np.abs(below) * 0.8, np.minimum(free, z + 2))
        leaf = np.minimum(leaf, 0.83 * (y - 4) - 0.55 * (ax - 12) + 6)
        plane.blend(share(leaf, 1.4) * 0.75, 50)
        lateral = np.minimum(4 - np.maximum(cavity, 0), np.minimum(4.0 - np.abs(z - 1), y - 44))
        plane.paint(lateral, 52, 2)
