"""The worklist: what a study goes through, its order, and who has it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pacs_peers import change

from hemodetect.pacs import inbox, worklist
from hemodetect.pacs.worklist import Entry, WorklistError, in_reading_order
from hemodetect.settings import settings
from hemodetect.storage import audit_trail
from hemodetect.storage.people import NotAllowed, Person, local_person

STUDY = "study-0123456789"
OTHER = "study-9876543210"
ANNA, BEN = local_person("Anna"), local_person("Ben")
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, state: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    if request.param == "postgresql":
        change(state, database_url=request.getfixturevalue("postgres_database"))
    return state


def _file(study: str, name: str = "a") -> None:
    assert inbox.store(inbox.Received(study, "class", name), b"image")


def _waiting(study: str = STUDY, when: datetime = NOW) -> None:
    worklist.arriving(study, "CT1@10.0.0.5", when)
    _file(study)
    worklist.complete(study, when)


def _one(study: str = STUDY) -> Entry:
    entry = worklist.entry(study)
    assert entry is not None
    return entry


def test_a_study_goes_from_its_first_file_to_what_the_models_say(
    empty: pytest.MonkeyPatch,
) -> None:
    worklist.arriving(STUDY, "CT1@10.0.0.5", NOW)
    _file(STUDY)
    assert (_one().state, _one().source, _one().received) == ("arriving", "CT1@10.0.0.5", NOW)
    assert worklist.next_to_judge() is None
    worklist.complete(STUDY)
    assert (_one().state, _one().files) == ("waiting", 1)
    begun = worklist.next_to_judge()
    assert (begun.study, begun.state, begun.attempts) == (STUDY, "being judged", 1)
    assert worklist.next_to_judge() is None
    answers = {"cnn": {"patient": 0.8}}
    assert worklist.judged(
        STUDY, {"state": "judged", "score": 0.8, "answers": answers, "cautions": ["One."]}
    )
    assert (_one().score, _one().answers, _one().cautions) == (0.8, answers, ("One.",))
    assert _one().judged is not None


def test_the_study_that_waited_longest_is_judged_first(empty: pytest.MonkeyPatch) -> None:
    _waiting(STUDY, NOW)
    _waiting(OTHER, NOW - timedelta(minutes=5))
    assert [worklist.next_to_judge().study for _ in range(2)] == [OTHER, STUDY]


def test_what_was_being_judged_when_the_process_ended_waits_again(
    empty: pytest.MonkeyPatch,
) -> None:
    _waiting()
    worklist.next_to_judge()
    worklist.take_up_again()
    assert _one().state == "waiting"


def test_a_study_that_ends_the_process_each_time_fails_with_a_reason(
    empty: pytest.MonkeyPatch,
) -> None:
    _waiting()
    for _ in range(worklist.MOST_ATTEMPTS):
        assert worklist.next_to_judge() is not None
        worklist.take_up_again()
    assert worklist.next_to_judge() is None
    assert (_one().state, _one().not_judged_reason) == ("failed", worklist.ENDED_EARLY)


def test_files_that_no_row_names_are_taken_up(empty: pytest.MonkeyPatch) -> None:
    _file(STUDY)
    worklist.settle()
    assert _one().state == "arriving"
    worklist.settle(datetime.now(UTC) + timedelta(seconds=settings().quiet_seconds + 1))
    assert _one().state == "waiting"


def test_files_that_came_after_the_models_began_are_taken_up(empty: pytest.MonkeyPatch) -> None:
    _waiting()
    worklist.next_to_judge()
    worklist.judged(STUDY, {"state": "judged", "score": 0.1})
    _file(STUDY, "b")  # by an association whose end nobody saw
    assert worklist.settle() == 0
    assert worklist.settle(datetime.now(UTC) + timedelta(seconds=settings().quiet_seconds + 1)) == 1
    assert (_one().state, _one().files, _one().score) == ("waiting", 2, None)


def test_a_study_of_which_nothing_was_kept_leaves_the_list(empty: pytest.MonkeyPatch) -> None:
    worklist.arriving(STUDY, "CT1", NOW)
    worklist.settle(NOW + timedelta(seconds=settings().quiet_seconds + 1))
    assert worklist.entry(STUDY) is None


def test_two_people_do_not_take_the_same_study_unseen(empty: pytest.MonkeyPatch) -> None:
    _waiting()
    worklist.take(STUDY, ANNA)
    worklist.take(STUDY, ANNA)
    with pytest.raises(WorklistError, match="Anna has this study"):
        worklist.take(STUDY, BEN)
    worklist.take(STUDY, BEN, from_other=True)
    assert _one().taken_by == "Ben"
    worklist.give_back(STUDY, ANNA)
    assert _one().taken_by == "Ben"
    worklist.give_back(STUDY, BEN)
    assert _one().taken_by == ""
    taken = [entry for entry in audit_trail.entries() if entry.action == "take"]
    assert [(entry.who, entry.detail) for entry in taken][-1] == ("Ben", '{"from": "Anna"}')


def test_a_read_study_says_who_read_it(empty: pytest.MonkeyPatch) -> None:
    _waiting()
    worklist.take(STUDY, ANNA)
    worklist.finish(STUDY, ANNA, files=1)
    assert (_one().done_by, _one().taken_by) == ("Anna", "")
    assert audit_trail.entries()[-1].action == "finish"


def test_only_readers_take_studies(empty: pytest.MonkeyPatch) -> None:
    _waiting()
    with pytest.raises(NotAllowed):
        worklist.take(STUDY, Person("Cleo", frozenset({"trainer"})))


def test_a_study_that_is_gone_cannot_be_taken(empty: pytest.MonkeyPatch) -> None:
    with pytest.raises(WorklistError, match="not in the worklist"):
        worklist.take(STUDY, ANNA)
    with pytest.raises(WorklistError, match="not in the worklist"):
        worklist.finish(STUDY, ANNA, files=1)


def test_nobody_marks_as_read_what_another_has_or_what_they_have_not_seen(
    empty: pytest.MonkeyPatch,
) -> None:
    _waiting()
    worklist.take(STUDY, ANNA)
    worklist.take(STUDY, BEN, from_other=True)
    with pytest.raises(WorklistError, match="Ben has this study"):
        worklist.finish(STUDY, ANNA, files=1)
    _file(STUDY, "b")
    worklist.complete(STUDY)
    with pytest.raises(WorklistError, match="New images"):
        worklist.finish(STUDY, BEN, files=1)
    worklist.finish(STUDY, BEN, files=2)


def test_expired_studies_go_with_their_files_and_others_stay(empty: pytest.MonkeyPatch) -> None:
    _waiting(STUDY)
    worklist.next_to_judge()
    worklist.judged(STUDY, {"state": "judged", "score": 0.1})
    _waiting(OTHER)  # not judged yet: it is not removed unread
    assert worklist.sweep(NOW + timedelta(days=settings().worklist_days - 1)) == 0
    assert worklist.sweep(NOW + timedelta(days=settings().worklist_days + 1)) == 1
    assert [entry.study for entry in worklist.entries()] == [OTHER]
    assert inbox.studies() == [OTHER]
    assert audit_trail.entries()[-1].action == "sweep"


def test_a_study_of_which_new_files_are_announced_is_not_swept(
    empty: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    _waiting()
    worklist.next_to_judge()
    worklist.judged(STUDY, {"state": "judged", "score": 0.1})
    listed = worklist.entries()
    later = NOW + timedelta(days=settings().worklist_days + 1)
    worklist.arriving(STUDY, "CT1", later)
    monkeypatch.setattr(worklist, "entries", lambda: listed)  # read before the announcement
    assert worklist.sweep(later) == 0
    assert inbox.count(STUDY) == 1


def _entry(study: str, **values: object) -> Entry:
    plain = Entry(
        study, "CT1", "judged", 1, NOW, NOW, NOW, 1, 0.5, 30, {}, (), "", "", None, "", None
    )
    return replace(plain, **values)  # type: ignore[arg-type]


def test_what_no_model_could_judge_comes_first_then_the_most_suspicious() -> None:
    early = NOW - timedelta(hours=1)
    entries = [
        _entry("low", score=0.1),
        _entry("done", score=0.99, done=NOW, done_by="Anna"),
        _entry("waiting", state="waiting", score=None, judged=None),
        _entry("high", score=0.9),
        _entry("blind", score=None),
        _entry("arriving", state="arriving", score=None, judged=None, received=early),
        _entry("stopped", state="stopped", score=None, reason="It is a chest.", received=early),
        _entry("failed", state="failed", score=None, reason="Damaged.", received=NOW),
    ]
    assert [entry.study for entry in in_reading_order(entries)] == [
        "stopped", "blind", "failed", "high", "low", "arriving", "waiting", "done",
    ]  # fmt: skip


def test_among_equals_the_one_that_waited_longest_comes_first() -> None:
    late, early = _entry("late"), _entry("early", received=NOW - timedelta(hours=1))
    assert in_reading_order([late, early]) == [early, late]
