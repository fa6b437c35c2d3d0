"""An uploaded set stays as long as somebody works with it."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hemodetect.dataset.manifest import uploaded_sets
from hemodetect.people import NotAllowed, Person, local_person
from hemodetect.reviews.session import Answer, ReviewError
from hemodetect.reviews.sessions import answer, create
from hemodetect.reviews.sources import OfSet, labelled_patients
from hemodetect.set_removal import remove_data
from hemodetect.training.job_rows import JobError, add, change
from hemodetect.training.jobs import host
from hemodetect.training.plan import TrainingPlan

TRAINER = local_person("Tim")


@pytest.fixture
def uploaded(database: str, blob_folder: Path) -> Path:
    """A set as an upload leaves it."""
    root = uploaded_sets() / "theirs"
    shutil.copytree(blob_folder, root)
    return root


def test_a_set_stays_until_the_session_that_reads_it_is_read(uploaded: Path) -> None:
    patient = next(iter(labelled_patients("theirs")))
    made = create(TRAINER, "Tuesday", [(OfSet("theirs", patient), None)], ["Ada"], "models-at-once")
    with pytest.raises(ReviewError, match="“Tuesday” of Tim has studies of theirs"):
        remove_data(uploaded, TRAINER)
    assert uploaded.is_dir()
    answer(local_person("Ada"), made, 1, "shown", Answer("none", 3), 1.0)
    remove_data(uploaded, TRAINER)
    assert not uploaded.exists()


def test_a_set_stays_while_a_job_trains_on_it(uploaded: Path) -> None:
    now = datetime.now(UTC)
    row = {"id": "a" * 12, "plan": vars(TrainingPlan(data=str(uploaded), family="svm")),
           "device": "cpu", "who": "Tim", "host": f"not {host()}", "state": "running",
           "created": now, "heard": now, "versions": {}}  # fmt: skip
    add(row)
    with pytest.raises(JobError, match="Job 1 trains on theirs"):
        remove_data(uploaded, TRAINER)
    change("a" * 12, ("running",), state="finished")
    remove_data(uploaded, TRAINER)
    assert not uploaded.exists()


def test_who_may_not_remove_sets_learns_nothing_of_sessions(uploaded: Path) -> None:
    with pytest.raises(NotAllowed, match="has not the role trainer"):
        remove_data(uploaded, Person("Eve", frozenset({"reader"})))
    assert uploaded.is_dir()
