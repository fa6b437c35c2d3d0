"""Removing an uploaded set that nobody needs any more."""

from __future__ import annotations

from pathlib import Path

from hemodetect.dataset.upload import remove_set
from hemodetect.people import Person
from hemodetect.reviews.session import ReviewError
from hemodetect.reviews.sessions import reading_from
from hemodetect.training.job_rows import ALIVE, JobError
from hemodetect.training.jobs import jobs


def remove_data(folder: Path, who: Person) -> None:
    """Removes an uploaded set.

    Raises:
        NotAllowed: not a trainer.
        JobError: a job trains on it.
        ReviewError: a review session that is not read to its end has studies of it.
        DatasetError: it was not uploaded.
    """
    who.require("trainer")
    for one in jobs():
        needed = [Path(data) for data in (one.plan.data, one.plan.teacher_data) if data]
        if one.state in ALIVE and folder in needed:
            raise JobError(f"Job {one.number} trains on {folder.name}; cancel it first.")
    for session in reading_from({folder.name}):
        raise ReviewError(
            f"The review session “{session.title}” of {session.created_by} has studies of"
            f" {folder.name} and is not read to its end; the set can be removed after that."
        )
    remove_set(folder, who)
