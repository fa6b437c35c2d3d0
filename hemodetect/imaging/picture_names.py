"""Which pictures are one series, and in what order, from their file names.

A name is cut into text and numbers. Names with the same text are one group (``14`` and ``14_seg``
are two). Of their numbers, one counts the slices; those that have few values name series
(``IMG-0002-00017``: slice 17 of series 2). A sign or a decimal point belongs to a number where the
folder shows it: table positions run from ``z-77.5`` to ``z77.5``, and ``3.12`` is image 12 of
series 3.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from hemodetect.imaging.naming import natural_key

_DIGITS = re.compile(r"(\d+)")
_DECIMAL = re.compile(r"(\d+(?:\.\d+)?)")
_SIGNED = re.compile(r"([-+\N{MINUS SIGN}]?\d+(?:\.\d+)?)")
_LONGEST_NUMBER = 15  # digits that a float64 keeps
_FAR = 20.0  # steps; slices that were not exported leave gaps, numbers without a meaning far ones


@dataclass(frozen=True)
class PictureGroup:
    """Pictures of one series.

    Attributes:
        members: indices into the names given, in order.
        numbers: what orders them, as long as `members`; empty where the names tell no order.
        text: the words of their names and folder, in lower case.
    """

    members: tuple[int, ...]
    numbers: tuple[float, ...]
    text: str


def picture_groups(names: Sequence[str]) -> list[PictureGroup]:
    """Every name in exactly one group.

    Args:
        names: paths within the study, one a picture.
    """
    folders: defaultdict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        folders[str(PurePosixPath(name).parent)].append(index)
    return [
        group
        for folder in sorted(folders, key=natural_key)
        for group in _groups_of_folder(folder, folders[folder], names)
    ]


@dataclass(frozen=True)
class _Parsed:
    """A stem's text pieces, with what else parts series, and the numbers between them."""

    texts: tuple[str, ...]
    numbers: tuple[float, ...]


def _groups_of_folder(
    folder: str, members: Sequence[int], names: Sequence[str]
) -> list[PictureGroup]:
    stems = {index: PurePosixPath(names[index]).stem for index in members}
    # The same slices in two formats are two series.
    twice = len({stem.lower() for stem in stems.values()}) < len(stems)
    suffixes = {i: PurePosixPath(names[i]).suffix.lower() if twice else "" for i in members}
    parsed = _parsed_stems(stems, suffixes)
    templates: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for index in members:
        templates[parsed[index].texts].append(index)
    # Names that have nothing in common (patients' words, hashes) do not name series.
    if len(templates) > 1 and 2 * len(templates) > len(members):
        return [_unordered(folder, members, names)]
    groups = []
    for template in sorted(templates):
        groups += _groups_of_template(folder, templates[template], parsed, names)
    return groups


def _groups_of_template(
    folder: str, members: Sequence[int], parsed: dict[int, _Parsed], names: Sequence[str]
) -> list[PictureGroup]:
    numbers = np.array([parsed[index].numbers for index in members])
    if numbers.shape[1] == 0:
        return [_unordered(folder, members, names)]
    counts = np.array([len(np.unique(column)) for column in numbers.T])
    field = _slice_field(numbers, counts)
    # A number that differs in most pictures counts something else about each of them.
    repeated = counts[field] < len(members)
    series_fields = [
        f
        for f, n in enumerate(counts)
        if f != field and (2 * n <= len(members) or (repeated and n < len(members)))
    ]
    series: defaultdict[tuple[float, ...], list[int]] = defaultdict(list)
    for row, index in enumerate(members):
        series[tuple(numbers[row, series_fields])].append(index)
    text = _words(folder, parsed[members[0]].texts)
    groups = []
    for key in sorted(series):
        order = sorted(series[key], key=lambda i: (parsed[i].numbers[field], natural_key(names[i])))
        values = [parsed[i].numbers[field] for i in order]
        if len(order) == 1 or is_sequence(values):
            groups.append(PictureGroup(tuple(order), tuple(values), text))
        else:
            groups.append(_unordered(folder, order, names))
    return groups


def _unordered(folder: str, members: Sequence[int], names: Sequence[str]) -> PictureGroup:
    order = sorted(members, key=lambda index: natural_key(names[index]))
    return PictureGroup(tuple(order), (), _words(folder, ()))


def _words(folder: str, texts: Sequence[str]) -> str:
    return " ".join([folder, *texts]).lower()


def _slice_field(numbers: np.ndarray, counts: np.ndarray) -> int:
    """The number that counts slices: the one with most values; of several the most regular."""
    most = np.flatnonzero(counts == counts.max())

    def span_a_slice(field: np.integer) -> float:
        column = numbers[:, field]
        return float(column.max() - column.min()) / max(int(counts[field]) - 1, 1)

    # The last one where they are equally regular.
    return int(min(most, key=lambda field: (abs(span_a_slice(field) - 1), -int(field))))


def is_sequence(values: Sequence[float]) -> bool:
    """Whether ascending numbers can be places in a stack: no two alike, and few far gaps."""
    gaps = np.diff(np.asarray(values, float))
    if not len(gaps) or gaps.min() <= 0:
        return False
    middle, wide = np.percentile(gaps, (50, 90), method="lower")
    return bool(wide <= (_FAR if middle <= _FAR else 3) * middle)


def _parsed_stems(stems: dict[int, str], suffixes: dict[int, str]) -> dict[int, _Parsed]:
    """Each stem, with signs and decimal points where the folder's names show them."""
    parsed = {index: _split(stem, _DIGITS, suffixes[index]) for index, stem in stems.items()}
    for pattern in (_DECIMAL, _SIGNED):
        read = {index: _split(stem, pattern, suffixes[index]) for index, stem in stems.items()}
        for members in _same_texts(read):
            if _is_position([read[index].numbers[-1] for index in members], pattern is _SIGNED):
                parsed |= {index: read[index] for index in members}
    return parsed


def _split(stem: str, pattern: re.Pattern[str], suffix: str) -> _Parsed:
    pieces = pattern.split(stem.lower())
    numbers = [n.replace("\N{MINUS SIGN}", "-")[:_LONGEST_NUMBER] for n in pieces[1::2]]
    return _Parsed((*pieces[::2], suffix), tuple(map(float, numbers)))


def _same_texts(parsed: dict[int, _Parsed]) -> list[list[int]]:
    groups: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, item in parsed.items():
        if item.numbers:
            groups[item.texts].append(index)
    return [members for members in groups.values() if len(members) > 2]


def _is_position(numbers: Sequence[float], signed: bool) -> bool:
    """Whether these are places in millimetres.

    A hyphen is a minus sign where some names have it and others do not; in all of them it parts
    words, unless the numbers have decimals. A point is a decimal point where the numbers are
    evenly spaced and their whole parts differ: in ``3.12`` it parts series and image.
    """
    values = np.sort(np.asarray(numbers))
    gaps, has_decimals = np.diff(values), bool((values % 1).any())
    middle = float(np.median(gaps))
    if gaps.min() <= 0 or (has_decimals and not middle / 3 < gaps.min() <= gaps.max() < 3 * middle):
        return False
    if has_decimals and len(np.unique(np.floor(values))) == 1:
        return False
    return values[0] < 0 and (has_decimals or values[-1] >= 0) if signed else has_decimals
