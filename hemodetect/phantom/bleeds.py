"""The phantom's bleeds: where each kind lies, the room it takes, and its extent for a volume.

Each kind has an *order*: a number for every voxel, smaller where blood comes first. A bleed of a
given volume is the voxels of lowest order that together have this volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from hemodetect.phantom.brain import tentorium_height
from hemodetect.phantom.plane import Array, Point, share

BleedType = Literal["epidural", "subdural", "subarachnoid", "intraparenchymal", "intraventricular"]
BLOOD_HU = {
    "epidural": 66.0,
    "subdural": 63.0,
    "subarachnoid": 64.0,
    "intraparenchymal": 67.0,
    "intraventricular": 63.0,
}
"""HU of the blood of each kind."""
OEDEMA_HU = 19.0
"""HU of the oedema around an intraparenchymal bleed."""
LENS_FLATNESS = 0.55
"""Of an epidural bleed: shape of its parabola; larger is flatter."""
CISTERN_PIXELS = 3.5
"""Blur, in pixels, that tells wide CSF spaces from narrow ones."""
NEVER = np.float32(1e6)
"""Order of voxels where a bleed cannot spread."""


@dataclass(frozen=True)
class Bleed:
    """A bleed of the phantom.

    Subarachnoid blood fills the cisterns and sulci that are there, and intraventricular blood the
    ventricles, where it settles at the back under a level: up to about 100 ml and 18 to 35 ml, by
    head. Both are more on the asked side. The other kinds stay on their side, up to 150 ml.

    Attributes:
        kind: where the blood lies.
        volume_ml: how much there is.
        side: of the patient; left is on the right of the image.
    """

    kind: BleedType
    volume_ml: float
    side: Literal["left", "right"] = "left"


@dataclass(frozen=True)
class Site:
    """A bleed with its place in this head, `mirror` being 1 on the left and -1 on the right."""

    bleed: Bleed
    centre: Point
    mirror: int

    @classmethod
    def placed(cls, bleed: Bleed, random: np.random.Generator) -> Site:
        """A place fit for the bleed's kind."""
        y, z = random.uniform(-1, 1, 2).tolist()
        mirror = 1 if bleed.side == "left" else -1
        centres: dict[BleedType, Point] = {
            "epidural": (66, -4 + 10 * y, 24 + 6 * z),
            "subdural": (66, -6 + 8 * y, 34 + 4 * z),
            "subarachnoid": (10, -8, 4),
            "intraparenchymal": (31, 0 + 6 * y, 20 + 4 * z),
            "intraventricular": (12, 20, 20),
        }
        return cls(bleed, centres[bleed.kind], mirror)

    @property
    def radius_mm(self) -> float:
        """Radius of a ball of the bleed's volume."""
        return float((0.75 / np.pi * 1000 * self.bleed.volume_ml) ** (1 / 3))

    def displaced(self, x: Array, y: Array, z: Array, cavity: Array) -> tuple[Array, Array, Array]:
        """Where the brain that is now at (x, y, z) would be without this bleed."""
        if self.bleed.kind == "intraparenchymal":
            cx, cy, cz = self.centre[0] * self.mirror, self.centre[1], self.centre[2]
            apart = np.sqrt((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2)
            ratio = self.radius_mm / np.maximum(apart, self.radius_mm)
            shrunk = np.cbrt(1 - 0.55 * ratio**3) - 1
            shrunk = shrunk * np.clip(cavity / 18, 0, 1)
            return x + (x - cx) * shrunk, y + (y - cy) * shrunk, z + (z - cz) * shrunk
        if self.bleed.kind in ("epidural", "subdural"):
            shift = min(0.14 * self.bleed.volume_ml, 11.0)
            near = ((self.mirror * x - 22) / 46) ** 2 + (y / 70) ** 2 + ((z - 20) / 42) ** 2
            return x + self.mirror * shift * np.exp(-near) * np.clip(cavity / 10, 0, 1), y, z
        return x, y, z


@dataclass(frozen=True, eq=False)
class SkullInterior:
    """The inside of the sampled skull, in head coordinates (mm).

    Attributes:
        x, y, z: float32, broadcasting to (slices, rows, columns).
        down: how far down (gravity, the patient lying on the back) each point is, in mm.
        cavity: (slices, rows, columns) depth below the inner table, in mm.
        vault: the same, the base of the skull left out.
        spaces: part of each voxel that is subarachnoid CSF.
        ventricle: part of each voxel that is ventricle.
        grain: noise of unit variance that varies over about 6 mm.
        voxel_ml: volume of a voxel.
    """

    x: Array
    y: Array
    z: Array
    down: Array
    cavity: Array
    vault: Array
    spaces: Array
    ventricle: Array
    grain: Array
    voxel_ml: float


def add_bleed(hu: Array, mask: Array, site: Site, inside: SkullInterior) -> Array:
    """Paint a bleed into `hu`, in place.

    Args:
        hu: (slices, rows, columns) float32.
        mask: (slices, rows, columns) part of each voxel that is taken by other bleeds.

    Returns:
        The part of each voxel that is this bleed's blood; above 0.5 it counts as bleeding.

    Raises:
        ValueError: the head has no room for the volume.
    """
    order, steepness, limit = _ORDERS[site.bleed.kind](site, inside)
    order = np.where((limit > 0.5) & (mask < 0.5), order, NEVER)
    voxels = round(site.bleed.volume_ml / inside.voxel_ml)
    room = int((order < NEVER).sum())
    if not 0 < voxels < room:
        raise ValueError(
            f"volume_ml of the {site.bleed.kind} bleed is {site.bleed.volume_ml:g}; this phantom "
            f"has room for {inside.voxel_ml:.2g} to {room * inside.voxel_ml:.0f} ml within its "
            "slices."
        )
    extent = np.partition(order[order < NEVER], voxels)[voxels]
    part = np.minimum(np.clip((extent - order) * steepness + 0.5, 0, 1), limit)
    part[order >= NEVER] = 0
    if site.bleed.kind == "intraparenchymal":
        rim = np.clip(1 - (order - extent) / 9, 0, 1) * share(inside.cavity - 2)
        rim *= (1 - inside.ventricle) * (1 - inside.spaces) * (order < NEVER) * 0.9
        hu += (OEDEMA_HU - hu) * rim
    hu += (BLOOD_HU[site.bleed.kind] + 3.0 * inside.grain - hu) * part
    return part


def _lens(site: Site, inside: SkullInterior) -> tuple[Array, Array | float, Array]:
    """Order: radius of the smallest lens, a parabola on the inner table, that holds the voxel."""
    offset = (inside.y - site.centre[1]) ** 2 * 0.8 + (inside.z - site.centre[2]) ** 2
    depth = np.maximum(inside.vault + 0.4 * inside.grain * np.clip(inside.vault / 3, 0, 1), 0)
    radius = depth + np.sqrt(depth * depth + (2 * LENS_FLATNESS) ** 2 * offset)
    same_side = share(site.mirror * inside.x - 10, 4)
    return radius / (2 * LENS_FLATNESS), 0.6, np.minimum(share(inside.cavity), same_side)


def _crescent(site: Site, inside: SkullInterior) -> tuple[Array, Array | float, Array]:
    """Order: thickness of the crescent, at its thickest, that just holds the voxel."""
    length = 20 + 10 * site.bleed.volume_ml ** (1 / 3)
    u = ((inside.y - site.centre[1]) / length) ** 2 + (
        (inside.z - site.centre[2]) / (0.8 * length)
    ) ** 2
    thickness = np.maximum(1 - u, 0) ** 0.8
    depth = np.maximum(inside.vault + 0.25 * inside.grain * np.clip(inside.vault / 3, 0, 1), 0)
    order = np.where(thickness > 0.06, depth / np.maximum(thickness, 0.06), NEVER)
    above = inside.z - np.maximum(tentorium_height(inside.x, inside.y) + 2, 2)
    above = np.where(inside.y < 20, inside.z, above)
    limit = np.minimum(share(inside.cavity), share(site.mirror * inside.x - 4, 3))
    return order, 0.8 * thickness, np.minimum(limit, share(above, 3))


def _ellipsoid(site: Site, inside: SkullInterior) -> tuple[Array, Array | float, Array]:
    """Order: distance from the centre in mm, drawn out front to back and made uneven."""
    dx = (inside.x - site.mirror * site.centre[0]) / 0.84
    dy = (inside.y - site.centre[1]) / 1.18
    distance = np.sqrt(dx * dx + dy * dy + (inside.z - site.centre[2]) ** 2)
    order = distance + 0.8 * inside.grain
    limit = np.minimum(share(inside.cavity - 3), share(site.mirror * inside.x - 2))
    return order, 0.45, limit


def _cisterns(site: Site, inside: SkullInterior) -> tuple[Array, Array | float, Array]:
    """Order: distance from the circle of Willis; wide spaces first, the other side later."""
    mx = site.mirror * inside.x
    blur = (0, CISTERN_PIXELS, CISTERN_PIXELS)
    wide = ndimage.gaussian_filter(inside.spaces, blur, truncate=2)
    order = np.sqrt(
        ((mx - site.centre[0]) * np.where(mx > site.centre[0], 0.6, 1.2)) ** 2
        + ((inside.y - site.centre[1]) * 0.8) ** 2
        + (inside.z - site.centre[2]) ** 2
    )
    order -= 70 * np.minimum(wide, 0.6)
    filled = np.clip((inside.spaces - 0.35) * 2 + 0.5, 0, 1)
    above = share(inside.z + 18, 6)
    return order, 0.1, np.minimum(np.minimum(filled, above), share(inside.cavity))


def _sediment(site: Site, inside: SkullInterior) -> tuple[Array, Array | float, Array]:
    """Order: height above the lowest point; on the other side 14 mm later."""
    other_side = share(-site.mirror * inside.x - 4, 2)
    return 14 * other_side - inside.down, 0.6, inside.ventricle


_ORDERS = {
    "epidural": _lens,
    "subdural": _crescent,
    "intraparenchymal": _ellipsoid,
    "subarachnoid": _cisterns,
    "intraventricular": _sediment,
}
