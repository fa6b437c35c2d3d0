"""What an audit finds that must stop a training by patient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hemodetect.dataset.audit import Audit, audit
from hemodetect.dataset.cache import open_dataset


@pytest.fixture(scope="module")
def audited(blob_folder: Path) -> Audit:
    return audit(open_dataset(blob_folder))


def test_a_set_with_enough_persons_is_not_stopped(audited: Audit) -> None:
    assert audited.stops(5) == ()


def test_too_few_persons_for_the_folds_stop_it(audited: Audit) -> None:
    normal, bleeding = audited.classes
    few = replace(audited, classes=(replace(normal, groups=3), bleeding))
    (sentence,) = few.stops(5)
    assert "3 of the 5 persons with the label normal" in sentence
    assert few.stops(3) == ()


def test_one_person_with_both_labels_stops_it(audited: Audit) -> None:
    first, *others = audited.folders
    twin = next(f for f in others if (f.hemorrhagic > 0) != (first.hemorrhagic > 0))
    folders = tuple(replace(f, group=first.group) if f is twin else f for f in audited.folders)
    (sentence,) = replace(audited, folders=folders).stops(5)
    assert first.patient in sentence
    assert twin.patient in sentence
    assert "different labels" in sentence
