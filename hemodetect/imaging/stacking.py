"""Which DICOM slices of one series lie in one stack.

Scanners and archives put several stacks under one Series Instance UID: two kernels, two thicknesses,
several passes of the table, a tilted block beside a straight one. Slices are parted where

- their directions differ by more than half a degree, or their pixel spacings by more than 1 %;
- they overlap along the normal and differ in kernel, thickness or field of view;
- they overlap along the normal, differ in type of image, tube voltage, contrast, acquisition or
  patient, or are numbered in several runs, and each has all its slices by itself;
- several lie at one place.

Parts that follow one another along the normal are one stack: a scanner may count each turn of its
tube as an acquisition, and take thinner slices at the skull base.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from hemodetect.imaging.decoded_slice import DecodedSlice, by_number

_SAME_DIRECTION = float(np.cos(np.radians(0.5)))
_SAME_SPACING = 1.01  # ratio
_SAME_THICKNESS = 1.05  # ratio
_SAME_CORNER_MM = 2.0
_SAME_POSITION_MM = 0.01
_SHORTEST_RUN = 3
_EVEN = 1.5  # widest over middle gap of an evenly spaced stack

Group = list[DecodedSlice]


def one_stack_each(group: Sequence[DecodedSlice]) -> list[Group]:
    """Slices of one series and size, taken apart; each part is ordered along its normal.

    Axial parts go from base to vertex. Where a slice has no position, they are ordered by number.
    """
    return [
        stack
        for direction in _by_direction(sorted(group, key=by_number))
        for spacing in _by_spacing(direction)
        for stack in _stacks_of_volume(spacing)
    ]


def _by_direction(group: Group) -> list[Group]:
    """Parts of one direction, the positions of each along one common normal."""
    known = [item for item in group if item.orientation]
    unknown = [item for item in group if not item.orientation]
    if not known:
        return [unknown]
    directions, which = np.unique(
        np.array([item.orientation for item in known]), axis=0, return_inverse=True
    )
    rows, columns = _unit(directions[:, :3]), _unit(directions[:, 3:])
    near = (rows @ rows.T >= _SAME_DIRECTION) & (columns @ columns.T >= _SAME_DIRECTION)
    labels = connected_components(csr_array(near), directed=False)[1][which.ravel()]
    parts = [[item for item, at in zip(known, labels, strict=True) if at == n] for n in set(labels)]
    return [_along_one_normal(part) for part in parts] + ([unknown] if unknown else [])


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _along_one_normal(group: Group) -> Group:
    if len({item.orientation for item in group}) == 1:
        return group
    normals = np.array([item.slice.geometry.normal for item in group if item.slice.geometry])
    if len(normals) < len(group) or not all(item.corner for item in group):
        return group
    (x, y, z) = (float(v) for v in _unit(np.median(normals, axis=0, keepdims=True))[0])
    moved = []
    for item in group:
        assert item.slice.geometry is not None
        assert item.corner is not None
        position = float(np.dot((x, y, z), item.corner))
        geometry = replace(item.slice.geometry, position_mm=position, normal=(x, y, z))
        moved.append(replace(item, slice=replace(item.slice, geometry=geometry)))
    return moved


def _by_spacing(group: Group) -> list[Group]:
    def spacing(item: DecodedSlice) -> float:
        geometry = item.slice.geometry
        return geometry.row_spacing_mm if geometry else 1.0

    return _split(group, _near_ratios([spacing(item) for item in group], _SAME_SPACING))


def _near_ratios(values: Sequence[float | None], ratio: float) -> list[int]:
    """The cluster of each value; sorted neighbours in one differ by less than `ratio`."""
    known = np.sort(np.array([v for v in values if v]))
    starts = known[1:][known[1:] > ratio * known[:-1]]
    return [0 if not v else 1 + int(np.searchsorted(starts, v, side="right")) for v in values]


def _split(group: Group, labels: Sequence[Hashable]) -> list[Group]:
    parts: defaultdict[Hashable, Group] = defaultdict(list)
    for item, label in zip(group, labels, strict=True):
        parts[label].append(item)
    return list(parts.values())


def _stacks_of_volume(group: Group) -> list[Group]:
    placed = sum(item.slice.geometry is not None for item in group)
    if any(item.position_mm is None for item in group):
        return [group]
    if 0 < placed < len(group):  # two scales, which need not agree
        return [
            sorted(
                group, key=lambda i: (-math.inf if i.location is None else i.location, by_number(i))
            )
        ]
    near = _nearest_gap(_positions(group))
    stacks = [_by_position(group)]
    for labels, alone in _DIFFERENCES:
        stacks = [part for stack in stacks for part in _apart(stack, labels(stack), alone, near)]
    return [layer for stack in stacks for layer in _layers(stack, near)]


def _positions(group: Sequence[DecodedSlice]) -> np.ndarray:
    return np.array([item.position_mm for item in group], float)


def _nearest_gap(positions: np.ndarray) -> float:
    """Slices nearer than this lie at one place: a tenth of the usual step."""
    gaps = np.diff(np.sort(positions))
    steps = gaps[gaps > 0.05]
    return max(_SAME_POSITION_MM, 0.1 * float(np.percentile(steps, 80))) if len(steps) else 0.05


def _by_position(group: Group) -> Group:
    # Up the body's axis (towards the vertex for axial slices), however the normal points.
    normal = group[0].normal
    sign = 1 if normal is None or normal[np.argmax(np.abs(normal))] > 0 else -1
    step = {id(item): round(float(item.position_mm or 0) / _SAME_POSITION_MM) for item in group}
    return sorted(group, key=lambda item: (sign * step[id(item)], by_number(item)))


def _kernels(stack: Group) -> list[Hashable]:
    return [item.kernel for item in stack]


def _thicknesses(stack: Group) -> list[int]:
    geometries = [item.slice.geometry for item in stack]
    return _near_ratios([g.thickness_mm if g else None for g in geometries], _SAME_THICKNESS)


def _fields_of_view(stack: Group) -> list[int]:
    """Clusters of the slices' corners in the plane; those of a sheared stack form a chain."""
    corners = [item.corner for item in stack]
    if not all(corners) or not all(item.orientation for item in stack):
        return [0] * len(stack)
    directions = np.array(stack[0].orientation).reshape(2, 3)
    in_plane = np.array(corners, float) @ directions.T
    gaps = np.abs(np.diff(_positions(stack)))
    near = max(_SAME_CORNER_MM, 0.5 * float(np.percentile(gaps, 80)) if len(gaps) else 0.0)
    labels = np.zeros(len(stack), int)
    for axis in in_plane.T:
        order = np.argsort(axis, kind="stable")
        steps = np.concatenate([[0], np.cumsum(np.diff(axis[order]) > near)])
        labels[order] = labels[order] * (len(stack) + 1) + steps
    return [int(label) for label in labels]


def _types(stack: Group) -> list[Hashable]:
    return [(item.image_type, item.tube_voltage, item.contrast) for item in stack]


def _acquisitions(stack: Group) -> list[Hashable]:
    return [item.acquisition for item in stack]


def _patients(stack: Group) -> list[Hashable]:
    return [item.patient for item in stack]


def _runs(stack: Group) -> list[int]:
    """Slices numbered upwards or downwards through the stack, then once more from an end."""
    if any(item.number is None for item in stack) or len(stack) < 2 * _SHORTEST_RUN:
        return [0] * len(stack)
    order = sorted(range(len(stack)), key=lambda i: by_number(stack[i]))
    positions = _positions(stack)[order]
    runs, direction = [0], 0
    for step in np.sign(np.round(np.diff(positions), 2)).astype(int):
        if step and direction in (0, step):
            direction = step
            runs.append(runs[-1])
        else:
            direction = 0
            runs.append(runs[-1] + 1)
    if min(runs.count(run) for run in set(runs)) < _SHORTEST_RUN:
        return [0] * len(stack)
    return [run for _, run in sorted(zip(order, runs, strict=True))]


_DIFFERENCES: tuple[tuple[Callable[[Group], Sequence[Hashable]], bool], ...] = (
    (_kernels, False),
    (_thicknesses, False),
    (_fields_of_view, False),
    (_types, True),
    (_acquisitions, True),
    (_patients, True),
    (_runs, True),
)
"""Labels that part a stack, and whether each part must be whole by itself to be parted."""


@dataclass(frozen=True, eq=False)
class _Part:
    members: Group
    low: float
    high: float

    @classmethod
    def of(cls, members: Group) -> _Part:
        positions = _positions(members)
        return cls(members, float(positions.min()), float(positions.max()))

    def joined(self, other: _Part) -> _Part:
        low, high = min(self.low, other.low), max(self.high, other.high)
        return _Part([*self.members, *other.members], low, high)


def _apart(stack: Group, labels: Sequence[Hashable], alone: bool, near: float) -> list[Group]:
    """Parts of unlike labels, those that follow one another joined again."""
    parts = [_Part.of(members) for members in _split(stack, labels)]
    if len(parts) == 1 or (alone and _fill_holes(parts, near)):
        return [stack]
    stacks: list[_Part] = []
    for part in sorted(parts, key=lambda part: (part.low, min(map(by_number, part.members)))):
        for at, other in enumerate(stacks):
            if not _excludes(other, part, alone, near):
                stacks[at] = other.joined(part)
                break
        else:
            stacks.append(part)
    return [_by_position(part.members) for part in stacks]


def _excludes(first: _Part, second: _Part, alone: bool, near: float) -> bool:
    """Whether two parts cannot be one stack."""
    overlap = min(first.high, second.high) - max(first.low, second.low)
    if overlap < -near:
        return False
    if overlap <= near:  # they meet at an end
        return min(len(first.members), len(second.members)) == 1
    return not (_fill_holes([first, second], near) and (alone or _is_stray(first, second)))


def _is_stray(first: _Part, second: _Part) -> bool:
    fewer, more = sorted((len(first.members), len(second.members)))
    return fewer <= 2 and 10 * fewer <= more


def _fill_holes(parts: Sequence[_Part], near: float) -> bool:
    """Whether together they are one evenly spaced stack in which one alone leaves holes."""
    members = [item for part in parts for item in part.members]
    together = np.diff(np.sort(_positions(members)))
    step = float(np.median(together))
    if together.min() <= near or float(np.percentile(together, 90)) > _EVEN * step:
        return False
    return any(_has_holes(part, step) for part in parts)


def _has_holes(part: _Part, step: float) -> bool:
    if len(part.members) < 2:
        return False
    widest = float(np.diff(np.sort(_positions(part.members))).max())
    thicknesses = [g.thickness_mm for item in part.members if (g := item.slice.geometry)]
    thickness = float(np.median([t for t in thicknesses if t] or [0.0]))
    return widest >= _EVEN * step and widest > 1.2 * thickness


def _layers(stack: Group, near: float) -> list[Group]:
    """The first slice at every place, then the second of each, and so on."""
    positions = _positions(stack)
    places = np.concatenate([[0], np.cumsum(np.abs(np.diff(positions)) > near)])
    layers: list[Group] = []
    depth: defaultdict[int, int] = defaultdict(int)
    for index in sorted(range(len(stack)), key=lambda i: by_number(stack[i])):
        place = int(places[index])
        if depth[place] == len(layers):
            layers.append([])
        layers[depth[place]].append(stack[index])
        depth[place] += 1
    return [_by_position(layer) for layer in layers]
