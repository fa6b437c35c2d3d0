"""Removing an uploaded set."""

from __future__ import annotations

from pathlib import Path

from hemodetect.dataset.upload import remove_set
from hemodetect.storage.people import Person
from hemodetect.training.jobs.control import jobs
from hemodetect.training.jobs.rows import ALIVE, JobError


def remove_data(folder: Path, who: Person) -> None:
    """Removes an uploaded set that no job trains on.

    A review session does not prevent the removal, because the set may hold data that must be deleted.
    `hemodetect.reviews.sessions.reading_from` lists the sessions concerned; their readers skip the
    studies of the set.

    Raises:
        NotAllowed: not a trainer.
        JobError: a job trains on it.
        DatasetError: it was not uploaded.
    """
    who.require("trainer")
    for job in jobs():
        used_folders = [Path(data) for data in (job.plan.data, job.plan.backbone_data) if data]
        if job.state in ALIVE and folder in used_folders:
            raise JobError(f"Job {job.number} trains on {folder.name}; cancel it first.")
    remove_set(folder, who)
