"""Commands about trainings that were started from the page: jobs, cancel, resume."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from hemodetect.cli.options import Subparsers, acting_person, command


def add_commands(subparsers: Subparsers) -> None:
    """Adds the commands jobs, cancel and resume."""
    listing = command(subparsers, "jobs", jobs, "trainings started from the page, newest first")
    listing.add_argument("--json", action="store_true", help="JSON, one job a line")
    for action, run, summary in (
        ("cancel", cancel, "cancel a training that was started from the page"),
        ("resume", resume, "resume a training that was interrupted, cancelled or failed"),
    ):
        action_parser = command(subparsers, action, run, summary)
        action_parser.add_argument("job", metavar="JOB", help="its id, see `hemodetect jobs`")
        action_parser.add_argument("--who", default=None, help="default: the user of this machine")


def jobs(options: argparse.Namespace) -> int:
    """Lists all jobs, newest first."""
    from hemodetect.training.jobs.control import jobs

    for job in jobs():
        if options.json:
            print(json.dumps(asdict(job), default=str))
        else:
            plan = f"{job.plan.family} {job.plan.recipe} on {Path(job.plan.data).name}"
            print(f"{job.number:4} {job.id} {job.state:11} {plan}, by {job.who}  {job.reason}")
    return 0


def cancel(options: argparse.Namespace) -> int:
    """Asks a job to end; its processes end within seconds."""
    from hemodetect.training.jobs.control import cancel

    print(f"Job {cancel(options.job, acting_person(options)).number} is being cancelled.")
    return 0


def resume(options: argparse.Namespace) -> int:
    """Queues a job again; it continues from its last epoch."""
    from hemodetect.training.jobs.control import resume

    print(f"Job {resume(options.job, acting_person(options)).number} is queued again.")
    return 0
