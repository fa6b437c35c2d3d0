"""Time and memory of a data set of 1,000, 10,000 and 100,000 slices, from the files to the figures.

    python benchmarks/scale.py FOLDER 1000 10000 100000

Writes synthetic heads (JPEG, 256 x 256, 32 slices a patient) under FOLDER and takes each set through:
finding and decoding its files into the cache, looking for persons in several folders, the audit's
shortcuts, a split by patient, one epoch of the study's RNN, and predicting and scoring a fold. For each
step it prints milliseconds a slice and the largest memory of its own (RssAnon: without files that are
mapped) of the process. Each set has a process of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

SLICES, SIDE = 32, 256
STEPS = ("decode and cache", "persons", "shortcuts", "split", "one epoch", "predict and score")


def write_patient(root: str, patient: int) -> None:
    """A patient's slices: an oval head of its own shape, every second one with a bright blob."""
    random = np.random.default_rng(patient)
    label = patient % 2
    folder = Path(root) / ("Hemorrhagic" if label else "NORMAL") / f"P{patient:06}"
    folder.mkdir(parents=True)
    down, right = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    turn = random.uniform(-0.3, 0.3)
    y = down * np.cos(turn) + right * np.sin(turn) - random.uniform(-0.1, 0.1)
    x = right * np.cos(turn) - down * np.sin(turn) - random.uniform(-0.1, 0.1)
    wide, long = random.uniform(0.5, 0.7), random.uniform(0.7, 0.85)
    texture = random.normal(0, 6, (SIDE, SIDE))
    for number in range(SLICES):
        size = 0.55 + 0.45 * np.sin(np.pi * (number + 3) / (SLICES + 5))
        depth = np.hypot(y / long, x / wide) / size
        picture = np.where(depth < 1, 90.0, 0.0)
        picture[depth < 0.97] = 255
        picture[depth < 0.9] = 105
        picture += texture * (depth < 0.9)
        if label and number % 2:
            picture[np.hypot(y + 0.2, x - 0.15) < 0.12] += 60
        image = np.clip(np.roll(picture, number % 5, axis=0), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / f"{number + 1}.jpg", quality=85)


class PeakMemory(threading.Thread):
    """The largest RssAnon of this process since `peak` was set, looked at 50 times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0.0
        self.start()

    def run(self) -> None:
        while True:
            self.peak = max(self.peak, self.now())
            time.sleep(0.02)

    @staticmethod
    def now() -> float:
        """MiB."""
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1]) / 1024
        return 0.0


def measure(root: Path) -> None:
    """Takes one set through all steps and prints a row of the table for each."""
    from hemodetect.dataset.cache import open_dataset
    from hemodetect.dataset.groups import patient_groups
    from hemodetect.dataset.shortcuts import shortcuts
    from hemodetect.dataset.splits import patient_split
    from hemodetect.evaluation.metrics import level_scores
    from hemodetect.models.recipes import recipe_named
    from hemodetect.training.fitting import Run
    from hemodetect.training.trainers import SliceTrainer

    memory = PeakMemory()
    slices = 0

    @contextmanager
    def step(name: str) -> Iterator[None]:
        memory.peak = memory.now()
        start = time.monotonic()
        yield
        seconds = time.monotonic() - start
        print(
            f"| {slices:,} | {name} | {1000 * seconds / slices:.2f} ms | {memory.peak:,.0f} MiB |",
            flush=True,
        )

    slices = sum(1 for _ in root.rglob("*.jpg"))
    with step(STEPS[0]):
        dataset = open_dataset(root)
    with step(STEPS[1]):
        groups = patient_groups(dataset)
    with step(STEPS[2]):
        shortcuts(dataset, groups)
    with step(STEPS[3]):
        split = patient_split(dataset, groups)
        test = split.test_mask(dataset.slices, 0)
    trainer = SliceTrainer(dataset, split, recipe_named("rnn", "paper"))
    with step(STEPS[4]):
        model = trainer.fit(~test, Run(root.parent / "work", print, epochs=1)).model
    with step(STEPS[5]):
        table = dataset.slices.loc[test, ["patient", "slice", "label"]]
        answers = trainer.predict(model, test)
        for level in ("slice", "patient"):
            level_scores(
                table.join(answers), level, threshold=0.5, slice_threshold=None, groups=groups
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("slices", type=int, nargs="*")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.folder)
        return
    print("| slices | step | time a slice | largest memory |\n|---|---|---|---|")
    for count in options.slices:
        root = options.folder / str(count) / f"heads-{count}"
        if not root.is_dir():
            patients = -(-count // SLICES)
            with ProcessPoolExecutor() as pool:
                list(pool.map(write_patient, [str(root)] * patients, range(patients), chunksize=8))
        environment = {
            **os.environ,
            "HEMODETECT_CACHE": str(options.folder / str(count) / "cache"),
            "HEMODETECT_STATE": str(options.folder / "state"),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        command = [sys.executable, __file__, str(root), "--measure"]
        subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    main()
