"""An uploaded set can be removed when no job uses it, and its readers skip its studies."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hemodetect.dataset.manifest import uploaded_sets
from hemodetect.reviews.session import ReviewError
from hemodetect.reviews.sessions import create, reading_from, skip
from hemodetect.reviews.sources import OfSet, labelled_patients
from hemodetect.storage.people import NotAllowed, Person, local_person
from hemodetect.training.jobs.control import host
from hemodetect.training.jobs.rows import JobError, add, change
from hemodetect.training.jobs.set_removal import remove_data
from hemodetect.training.plan import TrainingPlan

TRAINER = local_person("Tim")


@pytest.fixture
def uploaded(database: str, blob_folder: Path) -> Path:
    """Folder of an uploaded set."""
    root = uploaded_sets() / "theirs"
    shutil.copytree(blob_folder, root)
    return root


def test_readers_go_past_the_studies_of_a_set_that_was_removed(uploaded: Path) -> None:
    patient = next(iter(labelled_patients("theirs")))
    session = create(
        TRAINER, "Tuesday", [(OfSet("theirs", patient), None)], ["Ada"], "models-at-once"
    )
    ada = local_person("Ada")
    uploaded.rename(uploaded.with_name("elsewhere"))  # a disk that is away may come back
    with pytest.raises(ReviewError, match="This may be temporary"):
        skip(ada, session, 1)
    uploaded.with_name("elsewhere").rename(uploaded)
    assert reading_from({"theirs"}) == [session]
    remove_data(uploaded, TRAINER)
    assert not uploaded.exists()
    assert skip(ada, session, 1).reason == "The set theirs was removed from this server."
    assert reading_from({"theirs"}) == []


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
    with pytest.raises(NotAllowed, match="does not have the role trainer"):
        remove_data(uploaded, Person("Eve", frozenset({"reader"})))
    assert uploaded.is_dir()
