"""Commands about trainings that were started from the page: jobs, cancel, resume."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from hemodetect.cli.options import Subparsers, acting_person, command


def add_commands(subparsers: Subparsers) -> None:
    """Adds them to `hemodetect`."""
    listing = command(subparsers, "jobs", jobs, "trainings started from the page, newest first")
    listing.add_argument("--json", action="store_true", help="one object a job, one a line")
    for action, run, summary in (
        ("cancel", cancel, "end a training that was started from the page"),
        ("resume", resume, "go on with one that was interrupted, cancelled or failed"),
    ):
        ask = command(subparsers, action, run, summary)
        ask.add_argument("job", metavar="JOB", help="its id, as `hemodetect jobs` shows it")
        ask.add_argument("--who", default=None, help="default: the user of this machine")


def jobs(options: argparse.Namespace) -> int:
    """Print the training jobs; returns the exit status."""
    from hemodetect.training.jobs.control import jobs

    for job in jobs():
        if options.json:
            print(json.dumps(asdict(job), default=str))
        else:
            plan = f"{job.plan.family} {job.plan.recipe} on {Path(job.plan.data).name}"
            print(f"{job.number:4} {job.id} {job.state:11} {plan}, by {job.who}  {job.reason}")
    return 0


def cancel(options: argparse.Namespace) -> int:
    """Cancel a training job; returns the exit status."""
    from hemodetect.training.jobs.control import cancel

    print(f"Job {cancel(options.job, acting_person(options)).number} is being ended.")
    return 0


def resume(options: argparse.Namespace) -> int:
    """Put an interrupted training job in the queue again; returns the exit status."""
    from hemodetect.training.jobs.control import resume

    print(f"Job {resume(options.job, acting_person(options)).number} is in line again.")
    return 0
