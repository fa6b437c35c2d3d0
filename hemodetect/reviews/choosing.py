"""Which studies a session has, drawn at random and the same again for the same seed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hemodetect.dataset.cache import open_dataset
from hemodetect.dataset.groups import patient_groups
from hemodetect.dataset.lookup import named_sets
from hemodetect.reviews.sources import MadeUp, OfSet, Source, Truth, labelled_patients

Given = list[tuple[Source, Truth | None]]
"""Studies with the answer where it is known."""

_BLEEDS = ("subdural", "epidural", "intraparenchymal", "subarachnoid")
_MILLILITRES = (5.0, 40.0)


def shuffled(given: Given) -> Given:
    """In an order that tells nothing: a study's number in its session is seen in the page's source."""
    order = np.random.default_rng().permutation(len(given))
    return [given[index] for index in order]


def drawn_from(name: str, n: int, seed: int) -> Given:
    """At most `n` people of a labelled set, half of them with a hemorrhage as far as there are enough.

    Of folders that are one person one is taken: nobody shall know a head from a study before. Finding
    out which are takes half a minute where the set was never looked at.

    Raises:
        SourceGone: there is no such set.
        DatasetError: it cannot be read.
    """
    truth = labelled_patients(name)
    root, _ = next(named_sets(name))
    truth = one_a_person(truth, patient_groups(open_dataset(root)), seed)
    return [(OfSet(name, p), truth[p]) for p in balanced_patients(truth, n, seed)]


def one_a_person(
    truth: Mapping[str, Truth], groups: Mapping[str, str], seed: int
) -> dict[str, Truth]:
    """Of the patients of one group the one that is drawn; who is in no group stands for themselves."""
    patients = np.random.default_rng(seed).permutation(sorted(truth))
    of_group = {groups.get(str(p), str(p)): str(p) for p in patients}
    return {p: truth[p] for p in sorted(of_group.values())}


def balanced_patients(truth: Mapping[str, Truth], n: int, seed: int) -> list[str]:
    """`n` of the patients, half of them with a hemorrhage as far as there are enough of each."""
    random = np.random.default_rng(seed)
    of = {
        label: list(random.permutation(sorted(p for p in truth if truth[p] == label)))
        for label in ("hemorrhage", "none")
    }
    bleeding = min(max(n // 2, n - len(of["none"])), len(of["hemorrhage"]))
    return [str(p) for p in of["hemorrhage"][:bleeding] + of["none"][: n - bleeding]]


def made_up_heads(n: int, first_seed: int) -> Given:
    """`n` made-up heads; every second one, the first among them, has a bleed of 5 to 40 ml."""
    made: Given = []
    for seed in range(first_seed, first_seed + n):
        if (seed - first_seed) % 2:
            made.append((MadeUp(seed), "none"))
            continue
        random = np.random.default_rng(seed)
        kind = _BLEEDS[int(random.integers(len(_BLEEDS)))]
        made.append(
            (MadeUp(seed, kind, round(float(random.uniform(*_MILLILITRES)), 1)), "hemorrhage")
        )
    return made
