"""Slices that are missing inside a series, by position or by the numbers of the files."""

from __future__ import annotations

import numpy as np

from hemodetect.imaging.study import Series

_WIDE = 1.6  # times what lies between the slices beside the gap
_NAMED = 3


def missing_slices(series: Series) -> list[str]:
    """One sentence on the gaps of a series, or none."""
    slices = series.slices
    places = [s.geometry.position_mm for s in slices if s.geometry]
    if len(places) == len(slices):
        return _by_position(np.abs(np.diff(places)), [s.geometry for s in slices])
    return _by_number(series.numbers)


def _by_position(gaps: np.ndarray, geometries: list) -> list[str]:
    wide = []
    for index, gap in enumerate(gaps):
        beside = [*gaps[max(0, index - 2) : index], *gaps[index + 1 : index + 3]]
        thick = [geometries[i].thickness_mm or 0.0 for i in (index, index + 1)]
        if beside and gap > _WIDE * max(np.median(beside), *thick):
            wide.append((index, gap))
    if not wide:
        return []
    usual = f"{np.median(gaps):.1f}"
    named = [
        f"between slices {index + 1} and {index + 2} ({gap:.1f} mm)" for index, gap in wide[:_NAMED]
    ]
    return [_sentence(named, len(wide), f"the others are {usual} mm apart")]


def _by_number(numbers: tuple[float, ...]) -> list[str]:
    steps = np.diff(np.asarray(numbers, float))
    if len(steps) < 2:
        return []
    usual = float(np.median(steps))
    wide = [int(index) for index in np.flatnonzero(steps > _WIDE * usual)]
    if not wide or usual <= 0:
        return []
    named = [
        f"between slices {index + 1} and {index + 2} (numbers {numbers[index]:g} and"
        f" {numbers[index + 1]:g} of the files)"
        for index in wide[:_NAMED]
    ]
    return [_sentence(named, len(wide), f"the others count up by {usual:g}")]


def _sentence(named: list[str], count: int, rest: str) -> str:
    more = f" and {count - len(named)} more" if count > len(named) else ""
    return (
        f"Slices seem to be missing {', '.join(named)}{more}; {rest}. What they show was not seen by"
        " the models."
    )
