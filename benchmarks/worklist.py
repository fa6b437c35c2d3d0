"""What the order of the worklist does to the time until a bleeding study is read.

    python benchmarks/worklist.py [ARTIFACTS]

Simulates one reader. Studies arrive at random (Poisson); a read takes 6 minutes on average (log-normal,
deviation 3 minutes) and is not interrupted. A study is drawn from the patients of near-east and ct-ich,
bleeding ones with the given prevalence, and has the score that models gave which had not seen the
patient. Compared, on the same arrivals: first come first read, our order, and a perfect order that
knows the answer. Waiting is from arrival until the read begins. Intervals resample persons and
arrivals.
"""

from __future__ import annotations

import heapq
import sys
from pathlib import Path

import numpy as np

from hemodetect.evaluation.comparison import patient_column
from hemodetect.evaluation.comparison_file import read_comparison
from hemodetect.pacs.judging import study_score
from hemodetect.prediction.study_prediction import FamilyPrediction
from hemodetect.registry.bundle import read_card
from hemodetect.registry.promotion import RELEASES
from hemodetect.settings import settings

PREVALENCES = (0.05, 0.10, 0.15)
LOADS = (0.8, 0.95)
READ_MINUTES, READ_DEVIATION = 6.0, 3.0
STUDIES = 400
"""Arrivals of one run: about two days at full load."""
RUNS = 400


def main() -> None:
    artifacts = Path(sys.argv[1]) if len(sys.argv) > 1 else settings().artifacts
    label, score, silent, person = pool(artifacts)
    print(
        f"{len(label)} patients of {len(np.unique(person))} persons, {label.sum()} bleeding;"
        f" of {silent.sum()} no model can tell, {label[silent].sum()} of them bleeding"
    )
    for load in LOADS:
        for prevalence in PREVALENCES:
            rows = [
                one_run(label, score, person, prevalence, load, np.random.default_rng(run))
                for run in range(RUNS)
            ]
            first, ours, perfect, others_first, others_ours = np.array(rows).T
            print(
                f"load {load:.0%}, prevalence {prevalence:.0%}: bleeding studies wait"
                f" {_interval(first)} min first come first read, {_interval(ours)} in our order"
                f" (ratio {_interval(ours / first, 2)}), {_interval(perfect)} in a perfect one;"
                f" others {_interval(others_first)} and {_interval(others_ours)}"
            )


def pool(artifacts: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Label (n,) bool, score (n,), whether no model can tell (n,) bool, and person of each patient."""
    with (artifacts / "comparisons" / "near-east-and-ct-ich.parquet").open("rb") as file:
        comparison = read_comparison(file, file.name)
    cards = {m.family: read_card(artifacts / RELEASES / m.family) for m in comparison.models}
    by_patient = comparison.slices.groupby(["set", "patient"], sort=True)
    label = by_patient["label"].max().to_numpy(bool)
    person = by_patient["group"].first().to_numpy(str)
    scores, silent = [], []
    for number, (_, rows) in enumerate(by_patient):
        families = {
            model.family: FamilyPrediction(
                probabilities=np.zeros(len(rows), np.float32),
                patient=float(rows[patient_column(model.key)].iloc[0]),
                threshold=cards[model.family].threshold,
                version="",
                cannot_tell=cards[model.family].cannot_tell,
            )
            for model in comparison.models
        }
        score = study_score(families)
        assert score is not None
        scores.append(score)
        silent.append(all(answer.undecided for answer in families.values()))
        assert label[number] == bool(rows["label"].max())
    return label, np.array(scores), np.array(silent), person


def one_run(
    label: np.ndarray,
    score: np.ndarray,
    person: np.ndarray,
    prevalence: float,
    load: float,
    random: np.random.Generator,
) -> tuple[float, float, float, float, float]:
    """Mean minutes that bleeding studies wait: first come, ours, perfect; and others: first, ours."""
    persons = np.unique(person)
    drawn = random.choice(persons, len(persons))
    rows = np.concatenate([np.flatnonzero(person == one) for one in drawn])
    bleeding = random.random(STUDIES) < prevalence
    bleeding[random.integers(STUDIES)] = True
    pools = {flag: rows[label[rows] == flag] for flag in (False, True)}
    if not all(len(one) for one in pools.values()):
        pools = {flag: np.flatnonzero(label == flag) for flag in (False, True)}
    chosen = np.array([random.choice(pools[bool(flag)]) for flag in bleeding])
    arrival = np.cumsum(random.exponential(READ_MINUTES / load, STUDIES))
    spread = np.log1p((READ_DEVIATION / READ_MINUTES) ** 2)
    minutes = random.lognormal(np.log(READ_MINUTES) - spread / 2, np.sqrt(spread), STUDIES)
    first = waits(arrival, minutes, np.zeros(STUDIES))
    ours = waits(arrival, minutes, score[chosen])
    perfect = waits(arrival, minutes, bleeding.astype(float))
    return (
        first[bleeding].mean(),
        ours[bleeding].mean(),
        perfect[bleeding].mean(),
        first[~bleeding].mean(),
        ours[~bleeding].mean(),
    )


def waits(arrival: np.ndarray, minutes: np.ndarray, priority: np.ndarray) -> np.ndarray:
    """(n,) minutes from arrival to the beginning of the read; the highest priority is read next."""
    waiting: list[tuple[float, float, int]] = []
    begun = np.zeros(len(arrival))
    now, coming = 0.0, 0
    for _ in range(len(arrival)):
        if not waiting:
            now = max(now, arrival[coming])
        while coming < len(arrival) and arrival[coming] <= now:
            heapq.heappush(waiting, (-priority[coming], arrival[coming], coming))
            coming += 1
        *_, study = heapq.heappop(waiting)
        begun[study] = now
        now += minutes[study]
    return begun - arrival


def _interval(values: np.ndarray, digits: int = 0) -> str:
    low, high = np.percentile(values, (2.5, 97.5))
    return f"{values.mean():.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


if __name__ == "__main__":
    main()
