"""A job whose processes are killed at random moments, repeatedly, until it finishes.

    python benchmarks/killed_jobs.py --rounds 20

A process starts the job and ends. After a random time, a round kills the training, its supervisor or
both (SIGKILL). Then it checks the state of the job and resumes it. After the last round the job runs
undisturbed. It must finish with a whole bundle that predicts every slice once.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from PIL import Image

from hemodetect.storage.people import local_person

BENCH = local_person("bench")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument("--seed", type=int, default=0)
    arguments = options.parse_args()
    moments = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        os.environ |= {
            "HEMODETECT_STATE": str(place / "state"),
            "HEMODETECT_CACHE": str(place / "cache"),
            "HEMODETECT_DATA": str(place / "data"),
        }
        slices = _slices(place / "data" / "blobs")
        from hemodetect.registry.bundle import PREDICTIONS, read_card
        from hemodetect.training.jobs import control
        from hemodetect.training.jobs.rows import ALIVE

        job_id = _started_job(None, place / "data" / "blobs")
        ends: Counter[str] = Counter()
        for number in range(arguments.rounds):
            victims = moments.choice(("training", "supervisor", "both"))
            time.sleep(moments.uniform(0, 12))
            for process in _victims(job_id, victims):
                os.kill(process.pid, signal.SIGKILL)
            state = _settled(job_id)
            _, left = psutil.wait_procs(_processes(job_id), timeout=10)
            assert not left, f"{left} outlived the job"
            assert not (control.job(job_id).bundle.exists() and state != "finished")
            ends[f"{victims}: {state}"] += 1
            print(f"{number + 1:2} killed {victims:10} -> {state}", flush=True)
            if state == "finished":
                job_id = _started_job(None, place / "data" / "blobs")
            else:
                assert state == "interrupted", state
                _started_job(job_id, place / "data" / "blobs")
        while control.job(job_id).state in ALIVE:
            time.sleep(0.5)
        done = control.job(job_id)
        assert done.state == "finished", (done.state, done.reason)
        read_card(done.bundle)
        predictions = pd.read_parquet(done.bundle / PREDICTIONS)
        assert sorted(predictions["slice"]) == slices
        print(
            f"{arguments.rounds} kills: {dict(ends)}; then finished,"
            f" {len(predictions)} slices predicted once"
        )


def _started_job(job_id: str | None, data: Path) -> str:
    """Starts or resumes the job from another process that ends, as the app may end."""
    with multiprocessing.get_context("spawn").Pool(1) as starter:
        return starter.apply(_start_job, (job_id, str(data)))


def _start_job(job_id: str | None, data: str) -> str:
    from hemodetect.training.jobs import control
    from hemodetect.training.plan import TrainingPlan

    if job_id is not None:
        return control.resume(job_id, BENCH).id
    return control.start(TrainingPlan(data=data, family="rnn", folds=2, epochs=30), BENCH).id


def _processes(job_id: str) -> list[psutil.Process]:
    processes = []
    for process in psutil.process_iter(["cmdline"]):
        if any(job_id in part for part in process.info["cmdline"] or ()):
            processes.append(process)
    return processes


def _victims(job_id: str, which: str) -> list[psutil.Process]:
    every = _processes(job_id)
    watchers = [p for p in every if "hemodetect.training.jobs.supervisor" in p.cmdline()]
    if which == "supervisor":
        return watchers
    if which == "training":
        # Before there is one, its supervisor.
        return [p for p in every if p not in watchers] or watchers
    return every


def _settled(job_id: str) -> str:
    from hemodetect.training.jobs import control
    from hemodetect.training.jobs.rows import ALIVE

    deadline = time.monotonic() + 30
    while control.job(job_id).state in ALIVE:
        assert time.monotonic() < deadline, f"stuck as {control.job(job_id).state}"
        time.sleep(0.1)
    return control.job(job_id).state


def _slices(root: Path) -> list[str]:
    random_grey = np.random.default_rng(7)
    for label, name in enumerate(("NORMAL", "Hemorrhagic")):
        for patient in range(6):
            folder = root / name / f"P{label}{patient}"
            folder.mkdir(parents=True)
            for number in range(6):
                image = random_grey.integers(60, 110, (96, 96)).astype(np.uint8)
                if label:
                    image[30:46, 40:56] = 230
                Image.fromarray(image).save(folder / f"{number + 1}.png")
    from hemodetect.dataset.cache import open_dataset

    return sorted(open_dataset(root).slices["slice"])


if __name__ == "__main__":
    main()
