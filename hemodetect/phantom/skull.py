"""The phantom outside the brain: skin, muscle, skull, face, air cavities, neck."""

from __future__ import annotations

import numpy as np

from hemodetect.phantom.plane import Array, Plane, ball, joined, rod, share
from hemodetect.phantom.scanner import AIR_HU

FAT_HU = -85.0
"""HU of fat."""
SKIN_HU = 35.0
"""HU of skin."""
MUSCLE_HU = 53.0
"""HU of muscle."""
TABLE_HU = 1500.0
"""HU of compact bone."""
DIPLOE_HU = 650.0
"""HU of spongy bone between the tables."""
PETROUS_NORMAL = (0.55, 0.83)
"""Direction (x, y) across the petrous ridge."""


def vault_depth(x: Array, y: Array, z: Array) -> Array:
    """Depth below the inner table of the vault, as if it went on below the base."""
    v = (y - 1) / 84
    narrowing = 1 + 0.10 * v
    u = x / (68 * narrowing)
    w = (z - 18) / np.where(z > 18, 64, 74)
    uu, vv, ww = u * u, v * v, w * w
    form = uu + vv + ww - 0.28 * uu * vv - 0.22 * (uu + vv) * ww
    slope = np.sqrt(
        (u * (1 - 0.28 * vv - 0.22 * ww) / 68) ** 2
        + (v * (1 - 0.28 * uu - 0.22 * ww) / 84) ** 2
        + (w * (1 - 0.22 * (uu + vv)) / np.where(z > 18, 64, 74)) ** 2
    )
    radius = np.sqrt(np.maximum(form, 1e-4))
    return (1 - radius) * radius / (slope + 1.5e-3)


def cavity_depth(plane: Plane, vault: Array) -> Array:
    """Depth below the inner surface of the skull: vault, and the three fossae below it.

    `vault` is `vault_depth` of the plane. The foramen magnum and the canal of the spine belong to
    the cavity.
    """
    if plane.z.min() > 30:
        return vault
    x, y, z = np.abs(plane.x), plane.y, plane.z
    wavy = plane.texture("folds", 0.8)
    below = np.maximum(-z, 0)
    roof = -3 + 12 * (1 - np.exp(-((x / 17) ** 2))) + 0.10 * np.maximum(-45 - y, 0) + 0.8 * wavy
    forward = np.clip((-20 - y) / 14, 0, 1)
    floor = 1 + (roof - 1) * forward
    front = np.minimum(vault, z - floor)
    back_of_petrous = PETROUS_NORMAL[1] * (y - 4) - PETROUS_NORMAL[0] * (x - 12) + wavy * 0.9
    back_of_petrous = back_of_petrous + 0.0022 * (x - 38) ** 2 - 1
    middle = np.minimum(ball(x, y, z, (40, -12, 2), (27, 34, 27)), vault)
    middle = np.minimum(middle, -back_of_petrous - 1.5 - 0.30 * below)
    rear = np.minimum(ball(x, y, z, (0, 40, -2), (60, 47, 42)), vault)
    rear = np.minimum(rear, back_of_petrous - 1 - 0.22 * below)
    clivus = y - 1 - 0.30 * below
    rear = np.minimum(rear, clivus)
    canal = np.minimum(15.5 - 0.08 * np.maximum(-z - 40, 0) - np.hypot(x, (y - 31) * 0.95), -20 - z)
    sella = ball(x, y, z, (0, -12, 0), (8, 6, 8))
    cavity = joined(joined(front, middle, 5), joined(rear, canal, 6), 4)
    return joined(cavity, sella, 3)


def head_depth(plane: Plane, vault: Array) -> Array:
    """Depth below the skin: scalp, face, nose and neck."""
    x, y, z = plane.x, plane.y, plane.z
    thick = 11.5 + 3.0 * np.clip(-z / 20, 0, 1)
    head = vault + thick
    if z.min() > 35:
        return head
    ax = np.abs(x)
    narrow = x / (1 - 0.24 * np.clip(-(y + 30) / 60, 0, 1))
    face = ball(narrow, y, z, (0, -34, -42), (70, 64, 70))
    brow = ball(x, y, z, (0, -60, -4), (56, 38, 30))
    neck = (1 - np.hypot(x / 62, (y - 24) / 68)) * 60
    neck = np.minimum(neck, -14 - z)
    nose = rod(ax * 0.8, y, z, (0, -88, -2), (0, -101, -40), (6, 10))
    head = joined(head, joined(face, brow, 10), 12)
    return joined(joined(head, neck, 24), nose, 8)


def paint_soft_tissue(plane: Plane, head: Array, vault: Array) -> None:
    """Skin, fat and the muscles of face and neck, inside `head`."""
    x, y, z = plane.x, plane.y, plane.z
    grain = plane.texture("cells", 2.5)
    plane.paint(head, FAT_HU + 8 * grain)
    plane.blend(share(head) * share(2.4 - head), SKIN_HU)
    if z.min() < 40:
        ax = np.abs(x)
        bulge = 1 - ((y + 22) / 34) ** 2 - ((z - 2) / 36) ** 2
        temporalis = np.minimum(vault + 4 + 6 * np.maximum(bulge, 0), ax - 48)
        temporalis = np.minimum(np.minimum(temporalis, bulge * 20), head - 3.5)
        plane.paint(temporalis, MUSCLE_HU + 4 * grain)
    if z.min() < 0:
        _paint_face_and_neck(plane, head, grain)


def _paint_face_and_neck(plane: Plane, head: Array, grain: Array) -> None:
    x, y, z = np.abs(plane.x), plane.y, plane.z
    warp = plane.texture("folds", 1.7, (1, 1, 0.5))
    fine = plane.texture("folds", 0.9, (1.2, 1, 0.3))
    layers = np.abs(np.sin(head / 4.0 + 1.1 * warp)) * 4.5 - 0.8
    septa = np.abs(np.sin(np.arctan2(x, y - 20) * 4 + 0.9 * warp + 0.02 * head)) * 9 - 0.8
    fat = np.minimum(layers, septa) + 0.8 * np.maximum(fine, 0)
    nuchal = np.minimum(head - 6 - 2 * grain, -8 - z + (y - 50) * 0.35)
    nuchal = np.minimum(np.minimum(nuchal, y - 14 - 0.2 * x + 6 * warp), np.minimum(fat, x - 0.5))
    plane.paint(nuchal, MUSCLE_HU + 5 * grain, 1.6)
    deep = np.minimum(np.minimum(head - 14, -18 - z), np.abs(warp) * 9 - 1.2 + 0.8 * fine)
    deep = np.minimum(deep, np.minimum(48 - np.abs(y + 24), 22 - y + 5 * warp))
    plane.paint(deep, MUSCLE_HU - 6 + 6 * grain, 2)
    cheek = np.minimum(np.minimum(head - 5, -26 - z), np.abs(warp) * 9 - 5)
    plane.paint(np.minimum(cheek, -52 - y), 40, 3)
    for part in plane.both_sides((56, -14, -50), (12, 24, 34)):
        masseter = ball(part.x, part.y, part.z, (54.5, -16, -54), (6, 18, 26))
        part.paint(masseter, MUSCLE_HU + 3)
    for part in plane.both_sides((78, 26, -10), (14, 20, 34)):
        ear = ball(part.x, part.y, part.z, (80, 28, -10), (7, 15, 27))
        fold = part.texture("folds", 0.45, (1.5, 1, 0.5))
        part.paint(1.5 - np.abs(ear - 1.6 - 1.2 * fold), 10)
    outline = share(head) * share(2.2 - head)
    plane.blend(outline * (head < 6), SKIN_HU)


def paint_skull(plane: Plane, cavity: Array, vault: Array) -> None:
    """Inner and outer table with the diploe between, thick and thin where skulls are."""
    x, y, z = plane.x, plane.y, plane.z
    ax = np.abs(x)
    wavy = plane.texture("folds", 1.6) * np.clip(1.6 - z / 60, 0.3, 1)
    squama = np.exp(-(((z - 2) / 24) ** 2) - (((y + 8) / 32) ** 2)) * np.clip((ax - 40) / 15, 0, 1)
    crest = 6 * np.exp(-((x / 6) ** 2) - (((z - 2) / 16) ** 2)) * (y > 0)
    crest = crest + 4 * np.exp(-((x / 4) ** 2) - (((z - 22) / 14) ** 2)) * (y < 0)
    thick = 6.2 - 2.6 * squama + 0.7 * wavy + 0.02 * np.maximum(z - 30, 0)
    base = np.clip((vault - 5) / 8, 0, 1)
    thick = thick * (1 - base) + (3.2 + 0.7 * wavy) * base
    shell = np.minimum(cavity + thick, vault + thick + 2.5)
    cavity_inside = cavity - crest
    cells = plane.texture("cells", 0.7)
    plane.paint(shell, TABLE_HU, 1.2)
    diploe = np.minimum(shell - 1.9, -cavity_inside - 1.7)
    plane.paint(diploe, DIPLOE_HU + 190 * cells, 1.6)
    if z.min() < 24:
        _paint_base(plane, cavity)


def _paint_base(plane: Plane, cavity: Array) -> None:
    sphenoid = plane.near((0, -16, -20), (22, 24, 26))
    if sphenoid is not None:
        x, y, z = sphenoid.x, sphenoid.y, sphenoid.z
        body = ball(x, y, z, (0, -10, -19), (17, 17, 20))
        body = joined(body, rod(x, y, z, (0, 0, -14), (0, 16, -42), (8, 6)), 4)
        _bone(sphenoid, body, 1.3)
        sinus = ball(x, y, z, (2, -17, -14), (12, 11, 9))
        sinus = np.minimum(sinus, np.abs(x - 1.5) - 0.7)
        sphenoid.paint(sinus, AIR_HU, 0.9)
    for part in plane.both_sides((38, 20, -18), (34, 26, 26)):
        _paint_petrous(part)
    for part in plane.both_sides((34, -52, -8), (32, 40, 30)):
        _paint_orbit(part)
    frontal = plane.near((0, -86, 6), (22, 12, 18))
    if frontal is not None:
        x, y, z = frontal.x, frontal.y, frontal.z
        lobes = frontal.texture("folds", 0.6, (1, 0.5, 1))
        brow = ball(x, y, z, (0, -84 + 0.006 * x * x, 3), (30, 7.5, 15))
        _bone(frontal, brow, 1.6)
        air = ball(x, y, z, (3, -84.5 + 0.006 * x * x, 4), (20, 3.6, 11)) + 1.2 * lobes
        frontal.paint(np.minimum(air, np.abs(x - 1.5) - 0.6), AIR_HU, 0.9)
    if plane.z.min() < 6:
        _paint_nose_and_jaw(plane)
    if plane.z.min() < -30:
        _paint_cervical(plane)


def _paint_petrous(part: Plane) -> None:
    x, y, z = part.x, part.y, part.z
    cells = part.texture("cells", 0.85)
    pyramid = rod(x, y, z, (15, 5, -13), (54, 28, -13), (8, 12))
    mastoid = rod(x, y, z, (57, 33, -12), (54, 34, -40), (13, 8))
    bone = joined(pyramid, mastoid, 5)
    bone = np.minimum(bone, 68 - x)
    _bone(part, bone, 2.5)
    part.paint(ball(x, y, z, (36, 18, -11), (9, 6, 5)), 1900, 2)
    pneumatic = np.minimum(
        joined(mastoid, rod(x, y, z, (44, 24, -10), (58, 30, -8), (6, 8)), 4) - 2.4, 66 - x
    )
    part.paint(np.minimum(pneumatic, cells * 2.2 - 0.1), AIR_HU, 0.9)
    canal = rod(x, y, z, (44, 21, -19), (74, 25, -21), (2.8, 2.8))
    part.paint(np.minimum(canal + 2.2, 62 - x), 1200)
    part.paint(canal, AIR_HU)
    part.paint(rod(x, y, z, (20, 15, -10), (34, 17, -11), (2.4, 1.6)), 12)


def _paint_orbit(part: Plane) -> None:
    x, y, z = part.x, part.y, part.z
    cone = rod(x, y, z, (33, -68, -13), (15, -30, -7), (17.5, 4))
    wall = np.minimum(cone + 2.4, y + 74 - 0.55 * np.maximum(x - 36, 0))
    _bone(part, wall, 1.2)
    wing = rod(x, y, z, (20, -32, 2), (52, -46, 2), (4, 5))
    _bone(part, wing, 1.4)
    rim = rod(x, y, z, (50, -58, -14), (51, -62, -2), (4, 4.5))
    _bone(part, rim, 1.2)
    part.paint(np.minimum(cone, y + 92), FAT_HU - 10)
    front = ball(x, y, z, (33, -74, -13), (17, 14, 15))
    part.paint(front, 30)
    for end in ((42, -68, -13), (22, -70, -13), (33, -66, -1), (33, -66, -25)):
        part.paint(rod(x, y, z, (16, -32, -7), end, (2.0, 2.6)), 50)
    part.paint(rod(x, y, z, (15, -29, -7), (32, -62, -12), (2.3, 2.3)), 38)
    globe = ball(x, y, z, (33, -74, -13), (12, 12, 12))
    part.paint(globe, 48)
    part.paint(globe - 1.3, 9)
    part.paint(ball(x, y, z, (33, -82.5, -13), (4.6, 2.3, 4.6)), 75)


def _paint_nose_and_jaw(plane: Plane) -> None:
    nose = plane.near((0, -66, -32), (40, 44, 40))
    if nose is not None:
        x, y, z = np.abs(nose.x), nose.y, nose.z
        cells = nose.texture("cells", 1.1)
        folds = nose.texture("folds", 0.5, (1.3, 0.6, 1))
        narrow = 12.5 - 0.16 * np.maximum(-62 - y, 0) + 1.2 * folds
        ethmoid = np.minimum(np.minimum(narrow - x, 22 - np.abs(y + 54)), 13 - np.abs(z + 10))
        nasal = np.minimum(np.minimum(narrow - x, 30 - np.abs(y + 64)), -18 - z)
        nasal = np.minimum(nasal, 56 + z)
        sinus = ball(x, y, z, (29, -60, -38), (14, 18, 16))
        wall = np.maximum(np.minimum(joined(ethmoid, nasal, 3) + 1.4, y + 88), sinus + 1.5)
        _bone(nose, np.minimum(wall, z + 58), 1.0)
        jaw = np.hypot(x / 25, np.minimum(y + 46, 0) / 36)
        jaw = np.minimum(5 - np.abs(jaw - 1) * 26, np.minimum(-52 - z, -34 - y))
        _bone(nose, jaw - 0.8 + 0.8 * np.sin(np.arctan2(x, -(y + 46)) * 16), 1.6)
        _bone(nose, ball(x, y, z, (46, -64, -30), (9, 10, 8)), 1.6)
        _bone(nose, rod(x, y, z, (7, -88, -14), (3, -101, -24), (3.2, 2.2)), 1.2)
        nose.paint(ethmoid, AIR_HU)
        nose.paint(np.minimum(ethmoid, 0.9 - np.abs(cells) * 2.6), 260)
        nose.paint(nasal, AIR_HU)
        nose.paint(np.minimum(nasal + 1, np.minimum(folds * 4 - 0.6, x - 3.2)), 45)
        nose.paint(np.minimum(nasal, 1.1 - np.abs(nose.x - 0.8 * np.sin(y / 9))), 230)
        nose.paint(sinus, AIR_HU)
        nose.paint(rod(x, y, z, (6, -92, -44), (5, -104, -50), (4, 3.5)), AIR_HU)
    pharynx = plane.near((0, -26, -46), (20, 20, 30))
    if pharynx is not None:
        x, y, z = pharynx.x, pharynx.y, pharynx.z
        pharynx.paint(np.minimum(ball(x, y, z, (0, -28, -50), (15, 11, 22)), 20), AIR_HU, 1.5)
    for part in plane.both_sides((54, -20, -40), (26, 52, 36)):
        x, y, z = part.x, part.y, part.z
        ramus = rod(x, y, z, (52, 5, -23), (51, 2, -46), (4.8, 4))
        coronoid = rod(x, y, z, (49, -24, -32), (48, -18, -50), (2.4, 4))
        plate = np.hypot(x - 49.5 + 0.04 * (y + 10), np.maximum(np.abs(y + 9) - 11, 0))
        coronoid = joined(coronoid, np.minimum(4 - plate, -44 - z), 4)
        _bone(part, joined(ramus, coronoid, 3), 1.8)
        arch = rod(x, y, z, (66, 4, -24), (64, -34, -26), (2.6, 2.6))
        arch = joined(arch, rod(x, y, z, (64, -34, -26), (44, -66, -28), (2.6, 5.5)), 3)
        _bone(part, arch, 1.5)
        pterygoid = rod(x, y, z, (13, -30, -28), (15, -34, -56), (3, 2))
        _bone(part, pterygoid, 1.2)


def _paint_cervical(plane: Plane) -> None:
    part = plane.near((0, 26, -56), (46, 36, 34))
    if part is None:
        return
    x, y, z = np.abs(part.x), part.y, part.z
    condyle = rod(x, y, z, (17, 18, -36), (19, 20, -46), (7, 7))
    mass = ball(x, y, z, (22, 24, -53), (9, 10, 8))
    ring = np.minimum(3.2 - np.abs(np.hypot(x / 1.15, y - 31) - 20.5), 5 - np.abs(z + 54))
    process = rod(x, y, z, (24, 26, -54), (39, 28, -54), (6, 4))
    dens = rod(x, y, z, (0, 11, -46), (0, 13, -80), (4.6, 7))
    axis = ball(x, y, z, (18, 20, -70), (14, 12, 9))
    bones = [joined(mass, joined(ring, process, 3), 3), condyle, dens, axis]
    spine = np.maximum.reduce(bones)
    canal = 13.5 - np.hypot(x, y - 31)
    _bone(part, np.minimum(spine, -canal), 1.6)


def _bone(part: Plane, depth: Array, cortex_mm: float) -> None:
    """Compact bone of a given thickness around spongy bone."""
    spongy = part.texture("cells", 0.8)
    part.paint(depth, TABLE_HU - 250)
    part.paint(depth - cortex_mm, 480 + 150 * spongy, 1.5)
