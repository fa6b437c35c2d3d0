"""Removing an uploaded set."""

from __future__ import annotations

from pathlib import Path

from hemodetect.dataset.upload import remove_set
from hemodetect.storage.people import Person
from hemodetect.training.jobs.control import jobs
from hemodetect.training.jobs.rows import ALIVE, JobError


def remove_data(folder: Path, who: Person) -> None:
    """Removes an uploaded set that no job trains on.

    A review session that still reads from it does not keep it, for it may hold what must not stay;
    `hemodetect.reviews.sessions.reading_from` says beforehand which do. Their readers skip its studies.

    Raises:
        NotAllowed: not a trainer.
        JobError: a job trains on it.
        DatasetError: it was not uploaded.
    """
    who.require("trainer")
    for one in jobs():
        needed = [Path(data) for data in (one.plan.data, one.plan.teacher_data) if data]
        if one.state in ALIVE and folder in needed:
            raise JobError(f"Job {one.number} trains on {folder.name}; cancel it first.")
    remove_set(folder, who)
