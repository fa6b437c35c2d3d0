"""The canvas of the phantom: one plane through the head, and the fields that tissue is painted by.

Head coordinates, in mm: x to the patient's left, y to the back, z to the vertex. The origin lies
in the midline, just above the sella. A *depth* is a signed distance to the surface of a structure
in mm, positive inside; it need only be exact near the surface.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

Array = np.ndarray
Point = tuple[float, float, float]
"""(x, y, z) in mm."""
LATTICE = 96
"""Nodes of a texture's lattice along each axis."""
LATTICE_STEP_MM = 2.0
"""Distance of the nodes."""
PAINT_MARGIN_MM = 5.0
"""Added around a structure where its part of a plane is cut out."""


def share(depth: Array, edge_mm: float = 1.0) -> Array:
    """Part of each voxel that lies inside, 0 to 1, the edge spread over `edge_mm`."""
    return np.clip(depth / edge_mm + 0.5, 0, 1)


def joined(first: Array, second: Array, blend_mm: float) -> Array:
    """Depth of the union of two bodies, the crease between them filled over `blend_mm`."""
    blend = np.maximum(blend_mm - np.abs(first - second), 0)
    return np.maximum(first, second) + blend * blend / (4 * blend_mm)


def ball(x: Array, y: Array, z: Array, centre: Point, radii: Point) -> Array:
    """Depth in an ellipsoid, to first order."""
    u, v, w = ((p - c) / r for p, c, r in zip((x, y, z), centre, radii, strict=True))
    radius = np.sqrt(u * u + v * v + w * w) + 1e-3
    slope = np.sqrt((u / radii[0]) ** 2 + (v / radii[1]) ** 2 + (w / radii[2]) ** 2) + 1e-3
    return (1 - radius) * radius / slope


def rod(
    x: Array, y: Array, z: Array, start: Point, end: Point, radii: tuple[float, float]
) -> Array:
    """Depth in a rod with round ends whose radius runs from `radii[0]` to `radii[1]`."""
    along = np.subtract(end, start)
    dx, dy, dz = x - start[0], y - start[1], z - start[2]
    part = np.clip((dx * along[0] + dy * along[1] + dz * along[2]) / (along @ along), 0, 1)
    dx, dy, dz = dx - part * along[0], dy - part * along[1], dz - part * along[2]
    return radii[0] + part * (radii[1] - radii[0]) - np.sqrt(dx * dx + dy * dy + dz * dz)


@dataclass(frozen=True, eq=False)
class Textures:
    """Periodic noise through the head, unit variance, the same wherever a plane cuts it.

    The lattices have the axes (y, z, x), so that a row of a plane lies together in memory.

    Attributes:
        folds: varies over about 24 mm; its zero surfaces are the sulci.
        cells: varies over about 6 mm: air cells, diploe, clots.
    """

    folds: Array
    cells: Array

    @classmethod
    def random(cls, random: np.random.Generator) -> Textures:
        """New textures, drawn from `random`."""
        return cls(_band(random, 2.4, 4.0), _band(random, 0.7, 1.6))

    def at(self, name: str, x: Array, y: Array, z: Array, scale: float = 1.0) -> Array:
        """Values of the texture `name` at points in mm; a `scale` of 2 makes it twice as coarse.

        Fast where x is one row and y and z are one column: a fifteenth of the time.
        """
        lattice: Array = getattr(self, name)
        step = np.float32(LATTICE_STEP_MM * scale)
        if x.shape[0] != 1 or y.shape[1] != 1:
            points = np.stack(np.broadcast_arrays(y, z, x)) / step
            return ndimage.map_coordinates(lattice, points, order=1, mode="grid-wrap")
        (i, i1, di), (j, j1, dj), (k, k1, dk) = (_neighbours(p.ravel() / step) for p in (x, y, z))
        lines = lattice[j, k] * ((1 - dj) * (1 - dk))[:, None]
        lines += lattice[j1, k] * (dj * (1 - dk))[:, None]
        lines += lattice[j, k1] * ((1 - dj) * dk)[:, None]
        lines += lattice[j1, k1] * (dj * dk)[:, None]
        return lines.take(i, 1) * (1 - di) + lines.take(i1, 1) * di


def _neighbours(position: Array) -> tuple[Array, Array, Array]:
    low = np.floor(position)
    first = low.astype(np.intp) % LATTICE
    return first, (first + 1) % LATTICE, position - low


def _band(random: np.random.Generator, fine: float, coarse: float) -> Array:
    white = random.standard_normal((LATTICE,) * 3, dtype=np.float32)
    band = ndimage.gaussian_filter(white, fine, mode="wrap")
    band -= ndimage.gaussian_filter(white, coarse, mode="wrap")
    return band / band.std()


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane through the head that tissue is painted on.

    Attributes:
        x, y, z: float32 head coordinates in mm that broadcast to (rows, columns). On a part made
            by `both_sides`, x is positive to the outside.
        hu: (rows, columns) float32, painted in place.
        textures: noise of this head.
        grid: x as one row, y and z as one column each, where textures are read: (x, y, z) itself,
            unless a bleed displaces the brain.
    """

    x: Array
    y: Array
    z: Array
    hu: Array
    textures: Textures
    grid: tuple[Array, Array, Array]

    def texture(self, name: str, scale: float = 1.0, stretch: Point = (1, 1, 1)) -> Array:
        """Values of a texture at this plane's points, read `stretch` times as far along x, y, z."""
        x, y, z = (p * np.float32(s) for p, s in zip(self.grid, stretch, strict=True))
        return self.textures.at(name, x, y, z, scale)

    def holding(self, values: Array) -> Plane:
        """The same points, painting on other values."""
        return replace(self, hu=values)

    def paint(self, depth: Array, hu: float | Array, edge_mm: float = 1.0) -> None:
        """Fill the inside of `depth` with `hu`."""
        self.blend(share(depth, edge_mm), hu)

    def blend(self, part: Array, hu: float | Array) -> None:
        """Replace the part (0 to 1) of each voxel by `hu`."""
        self.hu[...] += (hu - self.hu) * part

    def near(self, centre: Point, reach: Point) -> Plane | None:
        """The part of this plane within `reach` of `centre`, or None where it passes by."""
        columns, rows, also_rows = (
            np.abs(points - middle).min(axis=axis) < length + PAINT_MARGIN_MM
            for points, middle, length, axis in zip(
                (self.x, self.y, self.z), centre, reach, (0, 1, 1), strict=True
            )
        )
        row_indices, column_indices = np.flatnonzero(rows & also_rows), np.flatnonzero(columns)
        if not (len(row_indices) and len(column_indices)):
            return None
        part = (
            slice(row_indices[0], row_indices[-1] + 1),
            slice(column_indices[0], column_indices[-1] + 1),
        )
        x, y, z = (_cut(points, part) for points in (self.x, self.y, self.z))
        gx, gy, gz = (_cut(points, part) for points in self.grid)
        return Plane(x, y, z, self.hu[part], self.textures, (gx, gy, gz))

    def both_sides(self, centre: Point, reach: Point) -> Iterator[Plane]:
        """`near` for a paired structure: left and right, x positive to the outside in each."""
        for mirror in (1, -1):
            part = self.near((mirror * centre[0], centre[1], centre[2]), reach)
            if part is not None:
                yield replace(part, x=mirror * part.x)


def _cut(points: Array, part: tuple[slice, slice]) -> Array:
    rows, columns = part
    return points[rows if points.shape[0] > 1 else slice(None)][
        :, columns if points.shape[1] > 1 else slice(None)
    ]
