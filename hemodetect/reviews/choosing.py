"""Chooses the studies of a session at random; the same seed gives the same studies."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hemodetect.dataset.cache import open_dataset
from hemodetect.dataset.groups import patient_groups
from hemodetect.dataset.lookup import named_sets
from hemodetect.reviews.sources import OfSet, Source, SyntheticPhantom, Truth, labelled_patients

LabelledSources = list[tuple[Source, Truth | None]]
"""Sources of studies, each with its label where the label is known."""

_BLEEDS = ("subdural", "epidural", "intraparenchymal", "subarachnoid")
_MILLILITRES = (5.0, 40.0)


def shuffled(studies: LabelledSources) -> LabelledSources:
    """The studies in random order: readers can see a study's number, so it must not tell the label."""
    order = np.random.default_rng().permutation(len(studies))
    return [studies[index] for index in order]


def drawn_from(name: str, n: int, seed: int) -> LabelledSources:
    """At most `n` patients of a labelled set, half of them with a hemorrhage where the set has enough.

    Of several folders of one person, one is taken, so that no reader meets the same head twice.
    Grouping the folders takes half a minute if this set was not grouped before.

    Raises:
        SourceGone: there is no such set.
        DatasetError: it cannot be read.
    """
    truth = labelled_patients(name)
    root, _ = next(named_sets(name))
    truth = one_per_person(truth, patient_groups(open_dataset(root)), seed)
    return [(OfSet(name, p), truth[p]) for p in balanced_patients(truth, n, seed)]


def one_per_person(
    truth: Mapping[str, Truth], groups: Mapping[str, str], seed: int
) -> dict[str, Truth]:
    """One random patient of each group, with the label; a patient without a group is a group of one."""
    patients = np.random.default_rng(seed).permutation(sorted(truth))
    of_group = {groups.get(str(p), str(p)): str(p) for p in patients}
    return {p: truth[p] for p in sorted(of_group.values())}


def balanced_patients(truth: Mapping[str, Truth], n: int, seed: int) -> list[str]:
    """`n` of the patients, half of them with a hemorrhage where there are enough of each label."""
    random = np.random.default_rng(seed)
    patients_of = {
        label: list(random.permutation(sorted(p for p in truth if truth[p] == label)))
        for label in ("hemorrhage", "none")
    }
    bleeding = min(max(n // 2, n - len(patients_of["none"])), len(patients_of["hemorrhage"]))
    return [
        str(p) for p in patients_of["hemorrhage"][:bleeding] + patients_of["none"][: n - bleeding]
    ]


def synthetic_phantoms(n: int, first_seed: int) -> LabelledSources:
    """`n` synthetic phantoms; the first, third, fifth ... has a bleed of 5 to 40 ml."""
    phantoms: LabelledSources = []
    for seed in range(first_seed, first_seed + n):
        if (seed - first_seed) % 2:
            phantoms.append((SyntheticPhantom(seed), "none"))
            continue
        random = np.random.default_rng(seed)
        kind = _BLEEDS[int(random.integers(len(_BLEEDS)))]
        phantoms.append(
            (
                SyntheticPhantom(seed, kind, round(float(random.uniform(*_MILLILITRES)), 1)),
                "hemorrhage",
            )
        )
    return phantoms
