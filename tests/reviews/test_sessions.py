"""A session stores every read once, in the drawn order, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sql
from made_sessions import Make, read_all

from hemodetect.errors import HemodetectError
from hemodetect.imaging.study import Series, Slice, Study
from hemodetect.prediction.study_prediction import FamilyPrediction, StudyPrediction
from hemodetect.reviews.model_reads import keep_model_reads, model_reads
from hemodetect.reviews.saved import save_study
from hemodetect.reviews.session import Answer, Mark, Mode, ReviewError
from hemodetect.reviews.sessions import (
    answer,
    create,
    may_see_results,
    next_assignment,
    reading_from,
    reads,
    session,
    sessions,
    shares_read,
    skip,
    skips,
)
from hemodetect.reviews.sources import OfSet, Saved, SyntheticPhantom
from hemodetect.storage import audit_trail
from hemodetect.storage.database import engine
from hemodetect.storage.people import NotAllowed, Person, local_person

pytestmark = pytest.mark.usefixtures("database")
NONE = Answer("none", 4)
BLEED = Answer(
    "hemorrhage",
    5,
    (3, 4),
    ("Subdural",),
    "thin, left; 😀 <b>",
    Mark(3, 210, 305, (-31.0, 12.5, 80.0)),
)


def test_a_session_comes_back_as_it_was_made(make: Make) -> None:
    created = make()
    assert session(created.id) == created
    assert sessions() == [created]
    assert session(created.id).studies[0].source == SyntheticPhantom(0, "subdural", 20.0)


def test_each_reader_has_an_order_of_their_own_which_stays() -> None:
    created = create(
        local_person("Lena"), "t", [(SyntheticPhantom(n), None) for n in range(20)], ["Ada", "Bo"],
        "blind-first", seed=1,
    )  # fmt: skip
    orders = {created.order("Ada"), created.order("Bo"), tuple(range(1, 21))}
    assert len(orders) == 3
    assert all(sorted(order) == list(range(1, 21)) for order in orders)
    assert session(created.id).order("Ada") == created.order("Ada")


def test_blind_first_asks_without_the_models_and_then_with_them(make: Make) -> None:
    created = make()
    first = created.order("Ada")[0]
    assignment = next_assignment(created, "Ada")
    assert assignment is not None
    assert (assignment.study.number, assignment.stage, assignment.place) == (first, "blind", 1)
    added = answer(local_person("Ada"), created, first, "blind", BLEED, 12.34)
    assert reads(created.id) == [added]
    assert (added.answer, added.seconds) == (BLEED, 12.3)
    assignment = next_assignment(created, "Ada")
    assert assignment is not None
    assert (assignment.study.number, assignment.stage) == (first, "shown")
    answer(local_person("Ada"), created, first, "shown", NONE, 5)
    assert [read.answer.call for read in reads(created.id)] == ["hemorrhage", "none"]
    assert next_assignment(created, "Bo").place == 1  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", ["blind-first", "models-at-once", "crossed"])
def test_a_reader_who_has_read_all_is_done_and_may_see_the_results(make: Make, mode: Mode) -> None:
    created = make(mode=mode)
    ada = local_person("Ada")
    assert not may_see_results(ada, created)
    read_all(created, "Ada", dict.fromkeys(range(1, 5), ("none", "none")))
    assert next_assignment(created, "Ada") is None
    assert may_see_results(ada, created)
    assert not may_see_results(local_person("Bo"), created)
    assert may_see_results(local_person("Lena"), created)
    assert len(reads(created.id)) == (8 if mode == "blind-first" else 4)


def test_crossed_readers_read_each_study_both_ways(make: Make) -> None:
    created = make(mode="crossed", n=10)
    for study in created.studies:
        assert {created.stages(r, study.number) for r in created.readers} == {
            ("blind",),
            ("shown",),
        }
    aided = [created.stages("Ada", study.number) == ("shown",) for study in created.studies]
    assert sum(aided) == 5


def test_a_read_is_given_once_and_in_order_and_by_a_reader_of_the_session(make: Make) -> None:
    created = make()
    ada, first, second = local_person("Ada"), *created.order("Ada")[:2]
    with pytest.raises(ReviewError, match="Another read comes first"):
        answer(ada, created, second, "blind", NONE, 1)
    with pytest.raises(ReviewError, match="Another read comes first"):
        answer(ada, created, first, "shown", NONE, 1)
    answer(ada, created, first, "blind", NONE, 1)
    with pytest.raises(ReviewError, match="answered before"):
        answer(ada, created, first, "blind", BLEED, 1)
    with pytest.raises(ReviewError, match="Eve is not one of the readers"):
        answer(local_person("Eve"), created, first, "blind", NONE, 1)
    with pytest.raises(NotAllowed, match="does not have the role reader"):
        answer(Person("Ada", frozenset({"lead"})), created, first, "blind", NONE, 1)
    assert [read.answer for read in reads(created.id)] == [NONE]


def test_the_database_refuses_to_change_a_read(make: Make) -> None:
    created = make()
    answer(local_person("Ada"), created, created.order("Ada")[0], "blind", NONE, 1)
    for statement in ("update reads set call = 'hemorrhage'", "delete from reads"):
        with pytest.raises(sql.exc.DBAPIError, match="only added to"), engine().begin() as open_:
            open_.execute(sql.text(statement))
    assert [read.answer.call for read in reads(created.id)] == ["none"]


def test_a_study_that_is_gone_is_skipped_and_no_other(lead: Person) -> None:
    small = Study("s", (Series("1", "", (Slice(np.zeros((2, 2), np.uint8), "grey", "1"),)),))
    saved = Saved(save_study(small, lead))
    studies = [(Saved("0" * 24), "none"), (saved, "none")]
    created = create(lead, "t", studies, ["Ada", "Bo"], "blind-first")
    ada = local_person("Ada")
    saved_number = created.studies[1].number
    if created.order("Ada")[0] == saved_number:
        for stage in ("blind", "shown"):
            answer(ada, created, saved_number, stage, NONE, 1)  # type: ignore[arg-type]
    with pytest.raises(ReviewError, match="can be opened"):
        skip(ada, created, saved_number)
    with pytest.raises(ReviewError, match="Eve is not one of the readers"):
        skip(local_person("Eve"), created, 1)
    added = skip(ada, created, 1)
    assert skips(created.id) == [added]
    assert "removed at the end of their retention time" in added.reason
    with pytest.raises(ReviewError, match="Another read comes first"):
        skip(ada, created, 1)
    if created.order("Ada")[0] != saved_number:
        for stage in ("blind", "shown"):
            answer(ada, created, saved_number, stage, NONE, 1)  # type: ignore[arg-type]
    assert next_assignment(created, "Ada") is None
    assert shares_read(created) == {"Ada": 1.0, "Bo": 0.0}
    assert next_assignment(created, "Bo") is not None
    assert [entry.subject for entry in audit_trail.entries() if entry.action == "skip"] == [
        f"{created.id}/1"
    ]


def test_a_read_keeps_the_versions_that_were_shown_with_it(make: Make) -> None:
    created = make()
    ada, first = local_person("Ada"), created.order("Ada")[0]
    answer(ada, created, first, "blind", NONE, 1)
    with pytest.raises(ReviewError, match="The answer of svm-2 for this study is not stored"):
        answer(ada, created, first, "shown", NONE, 1, ["svm-2"])
    for version in ("svm-1", "svm-2"):  # the model in use changed in between
        keep_model_reads(created.id, first, predicted(version), {"svm-1": True})
        keep_model_reads(created.id, first, predicted(version), {})
    answer(ada, created, first, "shown", NONE, 1, ["svm-2"])
    assert [read.bundles for read in reads(created.id)] == [(), ("svm-2",)]
    assert [read.version for read in model_reads(created.id)] == ["svm-1", "svm-2"]
    assert [read.trained_on for read in model_reads(created.id)] == [True, None]
    last = audit_trail.entries()[-1]
    assert json.loads(last.detail)["bundles"] == ["svm-2"]


def predicted(version: str) -> StudyPrediction:
    """One model's answer for a study of one slice."""
    family_prediction = FamilyPrediction(np.array([0.7], np.float32), 0.7, 0.5, version)
    study = Study("s", (Series("1", "", (Slice(np.zeros((2, 2), np.uint8), "grey", "1"),)),))
    return StudyPrediction(study, {"svm": family_prediction})


def test_a_session_is_read_from_a_set_until_each_reader_has_read_it(lead: Person) -> None:
    of_set = [(OfSet("ours", "p1"), None), (SyntheticPhantom(1), None)]
    created = create(lead, "t", of_set, ["Ada", "Bo"], "models-at-once")
    create(lead, "u", [(SyntheticPhantom(1), None)], ["Ada", "Cleo"], "models-at-once")
    assert reading_from({"ours", "theirs"}) == [created]
    assert reading_from({"theirs"}) == []
    assert reading_from({"ours"}, " ada ") == [created]
    assert reading_from({"ours"}, "Cleo") == []
    read_all(created, "Ada", dict.fromkeys((1, 2), ("none", "none")))
    assert reading_from({"ours"}, "Ada") == []
    assert reading_from({"ours"}, "Bo") == reading_from({"ours"}) == [created]


def test_of_two_windows_that_answer_at_once_one_is_kept(make: Make) -> None:
    created = make()
    first = created.order("Ada")[0]

    def press(call: str) -> bool:
        try:
            answer(local_person("Ada"), created, first, "blind", Answer(call, 3), 1)  # type: ignore[arg-type]
        except ReviewError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        accepted = list(pool.map(press, ["none", "hemorrhage"] * 8))
    assert sum(accepted) == 1
    assert len(reads(created.id)) == 1
    assert audit_trail.verify()[0] == 2  # the session, and the one read


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"call": ""}, "A call is needed"),
        ({"confidence": 0}, "expected 1 to 5"),
        ({"confidence": 6}, "expected 1 to 5"),
        ({"slices": (0,)}, "counted from 1"),
        ({"types": ("Cerebral",)}, "not a type"),
        ({"call": "none"}, "slices, types or a place of one were given"),
        ({"mark": Mark(0, 1, 1)}, "not in a slice"),
        ({"mark": Mark(1, -1, 1)}, "not in a slice"),
        ({"note": "x" * 10_001}, "longer than 10,000"),
    ],
)
def test_an_answer_that_cannot_be_is_refused(make: Make, change: dict, match: str) -> None:
    created = make()
    with pytest.raises(ReviewError, match=match):
        answer(
            local_person("Ada"),
            created,
            created.order("Ada")[0],
            "blind",
            replace(BLEED, **change),
            1,
        )
    assert reads(created.id) == []


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"title": " "}, "needs a title"),
        ({"studies": []}, "1 to 500 studies; 0"),
        ({"studies": [(SyntheticPhantom(1), None)] * 2}, "given twice"),
        ({"readers": []}, "1 to 50 readers"),
        ({"readers": ["Ada", "ada "]}, "named twice"),
        ({"readers": [""]}, "A reader's name"),
        ({"mode": "fast"}, "expected blind-first"),
        ({"who": Person("Ada", frozenset({"reader"}))}, "does not have the role lead"),
        ({"who": local_person(" ")}, "A name is needed"),
    ],
)
def test_a_session_that_cannot_be_is_refused(change: dict, match: str) -> None:
    good = {
        "who": local_person("Lena"),
        "title": "t",
        "studies": [(SyntheticPhantom(1), None)],
        "readers": ["Ada"],
        "mode": "blind-first",
    }
    with pytest.raises(HemodetectError, match=match):
        create(**good | change)
    assert sessions() == []
    assert audit_trail.verify()[0] == 0


def test_a_kill_in_the_middle_of_saving_loses_nothing_that_was_confirmed(make: Make) -> None:
    created = make(n=60, mode="models-at-once")
    code = (
        "import sys\n"
        "from hemodetect.storage.people import local_person\n"
        "from hemodetect.reviews.sessions import Answer, answer, session\n"
        "made, ada = session(sys.argv[1]), local_person('Ada')\n"
        "from hemodetect.reviews.sessions import next_assignment\n"
        "while due := next_assignment(made, 'Ada'):\n"
        "    answer(ada, made, due.study.number, due.stage, Answer('none', 3), 1.0)\n"
        "    print(due.study.number, flush=True)\n"
    )
    confirmed: list[int] = []
    for kill in range(3):
        reader = subprocess.Popen(
            [sys.executable, "-c", code, created.id],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        assert reader.stdout is not None
        confirmed.append(int(reader.stdout.readline()))
        time.sleep(0.01 * kill)
        reader.send_signal(signal.SIGKILL)
        confirmed += [int(line) for line in reader.stdout.read().splitlines()]
        reader.wait()
        stored = [read.study for read in reads(created.id)]
        assert set(confirmed) <= set(stored)
        assert len(stored) == len(set(stored))
        assert len(stored) - len(confirmed) <= kill + 1  # at most one unconfirmed per kill
    assert audit_trail.verify()[0] == 1 + len(reads(created.id))


def test_a_mistyped_name_opens_no_results_and_capitals_make_nobody_else(make: Make) -> None:
    created = make()
    assert not may_see_results(local_person("Aad"), created)
    assert not may_see_results(local_person("ADA "), created)
    added = answer(local_person("ADA "), created, created.order("Ada")[0], "blind", NONE, 1)
    assert added.reader == "Ada"
    for reader in created.readers:
        assert not may_see_results(local_person("Aad"), created)
        for due in iter(lambda r=reader: next_assignment(created, r), None):  # type: ignore[misc]
            answer(local_person(reader), created, due.study.number, due.stage, NONE, 1)
    assert may_see_results(local_person("Aad"), created)
