"""Patient groups: folders of one person, which a patient split keeps on one side.

Pixels alone show them, in three ways: the same pictures, the same head, or a large bleed in the same
place. The last two are proposals. A wrong proposal costs a split little; a missed one causes leakage.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

from hemodetect.dataset.bleeds import LARGE, bleed_site
from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.duplicates import SharedSlices, shared_slices
from hemodetect.dataset.heads import patient_heads
from hemodetect.dataset.joined import joined_groups
from hemodetect.dataset.likeness import head_likeness
from hemodetect.imaging.naming import natural_key
from hemodetect.storage.whole_file import whole_file

VERSION = 1
"""Of the method; results that another version cached are computed again."""

PICTURES, HEAD, BLEED = "same pictures", "same head", "bleed in the same place"
"""Reasons why two folders are one person."""

SAME_HEAD = 3.7
"""Lowest likeness that counts as one head. Above it on near-east: N6 and N27 8.0, N3 and N14 7.9 (one
scan in thin and thick slices), 1 and 4 6.7, 7 and 8 6.6, 11 and 12 4.0; the next pair, 3 and N19,
has 3.0. On ct-ich: 069 and 072 6.0, 052 and 070 4.8; the next, 079 and 087, 3.35."""

SAME_PLACE = 0.77
"""Lowest overlap of two large bleeds that counts as one person. On near-east 19 and 21 have 0.80, with
heads that cannot be compared (likeness 0.5: different tilt, thick cropped slices); the next
pair, 2 and 14, has 0.71."""

_FEWEST_SHARED, _SHARE = 3, 0.25
_PER_PATIENT, _IN_ALL, _LEAST_PER_PATIENT = 40, 2_400, 12
_RUNNERS_UP = 5


@dataclass(frozen=True)
class Join:
    """Two folders and why they count, or do not count, as one person.

    Attributes:
        patients: the two, in natural order.
        reason: PICTURES, HEAD or BLEED.
        score: slices in common, likeness of the heads, or overlap of the bleeds.
        threshold: lowest score of one person.
    """

    patients: tuple[str, str]
    reason: str
    score: float
    threshold: float


@dataclass(frozen=True)
class PatientGrouping:
    """Which folders belong to one person.

    Attributes:
        groups: patient group of every patient, named after its first member in natural order.
        joins: pairs that count as one person.
        runners_up: the most similar pairs that do not count as one, to judge the thresholds.
        shared: folders with pictures in common.
    """

    groups: dict[str, str]
    joins: tuple[Join, ...]
    runners_up: tuple[Join, ...]
    shared: tuple[SharedSlices, ...]


def patient_groups(dataset: Dataset) -> dict[str, str]:
    """Name of the patient group of every patient: its first member's, in natural order.

    In a joined set they are those of its parts; patients of two parts that share pictures are one
    group, because public sets hold parts of one another.
    """
    if not dataset.parts:
        return patient_grouping(dataset).groups
    groups = joined_groups({part.root.name: patient_groups(part) for part in dataset.parts})
    copies = [j.patients for j in _by_picture(shared_slices(dataset)) if j.score >= j.threshold]
    return _groups(list(groups), [*groups.items(), *copies])


def patient_grouping(dataset: Dataset) -> PatientGrouping:
    """Patient groups of `dataset`; computed on first use (near-east: 25 s on one core), then cached."""
    file = dataset.folder / "groups.json"
    cached = _cached_grouping(file)
    if cached is not None and set(cached.groups) == set(dataset.slices["patient"]):
        return cached
    grouping = _computed_grouping(dataset)
    with whole_file(file) as partial:
        partial.write_text(json.dumps({"version": VERSION, **asdict(grouping)}, ensure_ascii=False))
    return grouping


def _computed_grouping(dataset: Dataset) -> PatientGrouping:
    patients = [str(p) for p in dataset.slices["patient"].unique()]
    # The comparison grows with the square of the slices: large sets are sampled more thinly.
    per_patient = min(_PER_PATIENT, max(_LEAST_PER_PATIENT, _IN_ALL // len(patients)))
    heads = patient_heads(dataset, per_patient)
    shared = shared_slices(dataset)
    by_picture = _by_picture(shared)
    by_head = [
        Join(_ordered(pair), HEAD, round(score, 3), SAME_HEAD)
        for pair, score in head_likeness(heads).items()
    ]
    sites = {p: site for p in patients if (site := bleed_site(heads[p])).share >= LARGE}
    by_bleed = [
        Join(_ordered((a, b)), BLEED, round(sites[a].overlap(sites[b]), 3), SAME_PLACE)
        for a, b in combinations(sites, 2)
    ]
    ranked = sorted(by_head, key=lambda j: -j.score)
    proven = [j for j in by_picture if j.score >= j.threshold]
    with_copies = {j.patients for j in proven}
    proven += [j for j in ranked if j.score >= j.threshold and j.patients not in with_copies]
    joins = [*proven, *_mutual(by_bleed, {j.patients for j in proven})]
    joined = {j.patients for j in joins}
    heads_apart = [j for j in ranked if j.patients not in joined][:_RUNNERS_UP]
    bleeds_apart = sorted((j for j in by_bleed if j.patients not in joined), key=lambda j: -j.score)
    return PatientGrouping(
        groups=_groups(patients, (j.patients for j in joins)),
        joins=tuple(joins),
        runners_up=(*heads_apart, *bleeds_apart[:_RUNNERS_UP]),
        shared=shared,
    )


def _by_picture(shared: Iterable[SharedSlices]) -> list[Join]:
    return [
        Join(
            _ordered(s.patients),
            PICTURES,
            s.identical + s.near,
            # One identical picture is proof enough: noise does not repeat.
            1 if s.identical else max(_FEWEST_SHARED, _SHARE * s.smaller),
        )
        for s in shared
    ]


def _mutual(by_bleed: list[Join], joined: set[tuple[str, str]]) -> list[Join]:
    """Pairs above the threshold of which each is the other's best.

    Bleeds favour a few places: without this, every thalamic bleed of a large set would be one
    person.
    """
    best: dict[str, Join] = {}
    for join in by_bleed:
        for patient in join.patients:
            if patient not in best or join.score > best[patient].score:
                best[patient] = join
    return [
        j
        for j in by_bleed
        if j.score >= j.threshold
        and j.patients not in joined
        and best[j.patients[0]] is best[j.patients[1]] is j
    ]


def _groups(patients: list[str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    groups = {patient: {patient} for patient in patients}
    for a, b in pairs:
        joined = groups[a] | groups[b]
        for member in joined:
            groups[member] = joined
    return {patient: min(groups[patient], key=natural_key) for patient in patients}


def _ordered(pair: tuple[str, str]) -> tuple[str, str]:
    first, second = sorted(pair, key=natural_key)
    return first, second


def _cached_grouping(file: Path) -> PatientGrouping | None:
    """The cached result of the same method; None where it is missing or damaged."""
    try:
        raw = json.loads(file.read_text())
        if raw["version"] != VERSION:
            return None
        return PatientGrouping(
            groups=dict(raw["groups"]),
            joins=tuple(_join(j) for j in raw["joins"]),
            runners_up=tuple(_join(j) for j in raw["runners_up"]),
            shared=tuple(
                SharedSlices(**{**s, "patients": tuple(s["patients"])}) for s in raw["shared"]
            ),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _join(raw: dict[str, object]) -> Join:
    return Join(**{**raw, "patients": tuple(raw["patients"])})  # type: ignore[arg-type]
