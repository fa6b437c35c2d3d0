"""What a review session showed: readers and models beside each other, in numbers.

A call of *not sure* counts as a call of hemorrhage: a study that a reader is not sure of is looked at
again. How many there were is said beside every figure. The readers' majority is what more of them
called; a tie is not sure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import median

import numpy as np

from hemodetect.evaluation import Confusion
from hemodetect.evaluation.curves import RocCurve, roc_curve_with_band
from hemodetect.evaluation.differences import McNemar, agreement, mcnemar
from hemodetect.evaluation.kappa import cohen_kappa_with_interval, fleiss_kappa_with_interval
from hemodetect.evaluation.metrics import Metric, Scores, judged
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.reviews.model_reads import ModelRead
from hemodetect.reviews.session import Call, Read, ReviewSession, Skip, Stage

CALLS: tuple[Call, ...] = ("hemorrhage", "none", "unsure")
STAGE_WORDS: Mapping[Stage, str] = {"blind": "without models", "shown": "with models"}


@dataclass(frozen=True)
class Rater:
    """Whose calls are judged: a reader at a stage, the readers' majority at a stage, or a model.

    Attributes:
        who: the reader's name, "Majority", or the model's name for people.
        stage: None for a model.
        place: of the reader in the session, from 0; None for the others.
        family: of the model; None for the others.
    """

    who: str
    stage: Stage | None
    place: int | None = None
    family: str | None = None

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.who}, {STAGE_WORDS[self.stage]}" if self.stage else self.who

    @property
    def key(self) -> str:
        """Names it among those of its session, whatever a reader is called."""
        return f"{self.stage}:{self.place}:{self.who}"


@dataclass(frozen=True, eq=False)
class Rated:
    """A rater against the truth.

    Attributes:
        n: studies called.
        unsure: of these, those that readers called not sure (counted as hemorrhage), or of which a
            model cannot tell (counted by its operating point).
        cases: numbers of the studies whose truth is known, by cell ("tn", "fp", "fn", "tp").
        confusion: how many these are; None where the truth of none is known.
        scores: with intervals; None where the truth is of one class only. The AUROC is of the
            reader's rating (`rating`) or of the model's probability.
        roc: of a model; None where there are no scores.
        median_seconds: a study took; None for models and the majority.
        trained_on, unknown: of the studies, those of patients that the model was trained on, and
            those of which that is not known.
    """

    rater: Rater
    n: int
    unsure: int
    cases: Mapping[str, tuple[int, ...]]
    confusion: Confusion | None
    scores: Scores | None
    roc: RocCurve | None
    median_seconds: float | None
    trained_on: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class Change:
    """What a reader did on seeing the models.

    Attributes:
        n: studies read without and then with the models.
        changed: calls that became another one.
        to_right, to_wrong: of these, where the truth is known: wrong before and right after, and the
            other way round. Not sure counts as hemorrhage.
        test: exact McNemar test of these two; None where no truth is known.
    """

    reader: str
    n: int
    changed: int
    to_right: int
    to_wrong: int
    test: McNemar | None


@dataclass(frozen=True, eq=False)
class Results:
    """All of a session.

    Attributes:
        session: it.
        done: share of its reads that were made, of those that could be.
        skips: studies that a reader had to go past.
        rated: readers at each stage, their majority at each stage, models.
        kappas: (name of one rater, of another, stage) -> Cohen's kappa of their three kinds of call.
        fleiss: stage -> Fleiss' kappa of all readers, on the studies that all have read.
        changes: a reader each, in mode blind-first.
        baseline: accuracy of always giving the commoner answer; None where no truth is known.
    """

    session: ReviewSession
    done: float
    skips: tuple[Skip, ...]
    rated: tuple[Rated, ...]
    kappas: dict[tuple[str, str, Stage], Metric]
    fleiss: dict[Stage, Metric]
    changes: tuple[Change, ...]
    baseline: float | None


def results(
    session: ReviewSession,
    reads: Sequence[Read],
    models: Sequence[ModelRead],
    skips: Sequence[Skip] = (),
) -> Results:
    """Figures of whatever has been read so far."""
    truth = {s.number: int(s.truth == "hemorrhage") for s in session.studies if s.truth}
    stages = [stage for stage in STAGE_WORDS if any(read.stage == stage for read in reads)]
    found: list[Rated] = []
    for stage in stages:
        calls = _calls(session, reads, stage)
        for place, reader in enumerate(session.readers):
            own = [read for read in reads if (read.reader, read.stage) == (reader, stage)]
            if own:
                rater = Rater(reader, stage, place=place)
                ratings = {read.study: rating(read) for read in own}
                seconds = median(read.seconds for read in own)
                found.append(_rated(rater, calls[reader], ratings, truth, seconds))
        if len(calls) > 1:
            together = majority(calls)
            rater = Rater("Majority", stage)
            shares = {
                number: float(np.mean([c[number] != "none" for c in calls.values() if number in c]))
                for number in together
            }
            found.append(_rated(rater, together, shares, truth, None))
    for (family, version), name in model_names(models).items():
        said = [read for read in models if (read.family, read.version) == (family, version)]
        called: dict[int, Call] = {
            read.study: "hemorrhage" if read.call == "hemorrhage" else "none" for read in said
        }
        probabilities = {read.study: read.probability for read in said}
        one = _rated(Rater(name, None, family=family), called, probabilities, truth, None)
        found.append(
            replace(
                one,
                unsure=sum(read.undecided for read in said),
                trained_on=sum(read.trained_on is True for read in said),
                unknown=sum(read.trained_on is None for read in said),
            )
        )
    ones = sum(truth.values())
    due = sum(len(session.still_due(reader, reads, skips)) for reader in session.readers)
    return Results(
        session=session,
        done=len(reads) / (len(reads) + due) if due else 1.0,
        skips=tuple(skips),
        rated=tuple(found),
        kappas=_kappas(session, reads, stages),
        fleiss=_fleiss(session, reads, stages),
        changes=_changes(session, reads, truth),
        baseline=max(ones, len(truth) - ones) / len(truth) if truth else None,
    )


def model_names(models: Sequence[ModelRead]) -> dict[tuple[str, str], str]:
    """(Family, version) -> name for people, with the version where the session was shown several."""
    versions: dict[str, list[str]] = {family: [] for family in FAMILY_NAMES}
    for read in models:
        if read.version not in versions[read.family]:
            versions[read.family].append(read.version)
    return {
        (family, version): FAMILY_NAMES[family] + (f" ({version})" if len(own) > 1 else "")
        for family, own in versions.items()
        for version in own
    }


def rating(read: Read) -> float:
    """A read as a place on a scale from surely none (0) to surely hemorrhage (1).

    Not sure lies in the middle, whatever the confidence; eleven steps in all.
    """
    sign = {"hemorrhage": 1, "none": -1, "unsure": 0}[read.answer.call]
    return 0.5 + sign * read.answer.confidence / 10


def majority(calls: Mapping[str, Mapping[int, Call]]) -> dict[int, Call]:
    """What more readers called of each study; a tie is not sure.

    Args:
        calls: reader -> study -> call.
    """
    votes: dict[int, Counter[Call]] = {}
    for own in calls.values():
        for number, call in own.items():
            votes.setdefault(number, Counter())[call] += 1
    found: dict[int, Call] = {}
    for number, counted in votes.items():
        (call, most), *others = counted.most_common()
        found[number] = "unsure" if others and others[0][1] == most else call
    return found


def _calls(
    session: ReviewSession, reads: Sequence[Read], stage: Stage
) -> dict[str, dict[int, Call]]:
    """Reader -> study -> call at a stage, readers who have read nothing left out."""
    found: dict[str, dict[int, Call]] = {}
    for reader in session.readers:
        own = {r.study: r.answer.call for r in reads if (r.reader, r.stage) == (reader, stage)}
        if own:
            found[reader] = own
    return found


def _rated(
    rater: Rater,
    calls: Mapping[int, Call],
    ratings: Mapping[int, float],
    truth: Mapping[int, int],
    seconds: float | None,
) -> Rated:
    unsure = sum(call == "unsure" for call in calls.values())
    known = [number for number in calls if number in truth]
    if not known:
        return Rated(rater, len(calls), unsure, {}, None, None, None, seconds)
    labels = np.array([truth[number] for number in known])
    called = np.array([calls[number] != "none" for number in known])
    inside = {
        "tn": ~called & (labels == 0),
        "fp": called & (labels == 0),
        "fn": ~called & (labels == 1),
        "tp": called & (labels == 1),
    }
    cells = {cell: tuple(np.array(known)[mask].tolist()) for cell, mask in inside.items()}
    confusion = Confusion(**{cell: len(numbers) for cell, numbers in cells.items()})
    scores, roc = None, None
    if 0 < labels.sum() < len(labels):
        # What was called is known; a threshold of 0 or 1 for each case says the same.
        cases = judged(
            "patient",
            labels,
            np.array([ratings[number] for number in known], np.float32),
            np.arange(len(known)),
        )
        scores = cases.at(np.where(called, 0.0, 1.0))
        if rater.stage is None:
            roc = roc_curve_with_band(labels, cases.probabilities, cases.codes, cases.drawn)
    return Rated(rater, len(calls), unsure, cells, confusion, scores, roc, seconds)


def _kappas(
    session: ReviewSession, reads: Sequence[Read], stages: Sequence[Stage]
) -> dict[tuple[str, str, Stage], Metric]:
    found = {}
    for stage in stages:
        calls = _calls(session, reads, stage)
        for one, other in combinations(calls, 2):
            both = sorted(calls[one].keys() & calls[other].keys())
            if both:
                first, second = (np.array([calls[r][n] for n in both]) for r in (one, other))
                found[one, other, stage] = cohen_kappa_with_interval(first, second)
    return found


def _fleiss(
    session: ReviewSession, reads: Sequence[Read], stages: Sequence[Stage]
) -> dict[Stage, Metric]:
    found = {}
    for stage in stages:
        calls = _calls(session, reads, stage)
        if len(calls) < 3:
            continue  # of two, Cohen's says it
        common = set.intersection(*(set(own) for own in calls.values()))
        if common:
            counts = np.array(
                [
                    [sum(own[number] == call for own in calls.values()) for call in CALLS]
                    for number in sorted(common)
                ]
            )
            found[stage] = fleiss_kappa_with_interval(counts)
    return found


def _changes(
    session: ReviewSession, reads: Sequence[Read], truth: Mapping[int, int]
) -> tuple[Change, ...]:
    if session.mode != "blind-first":
        return ()
    found = []
    before, after = (_calls(session, reads, stage) for stage in ("blind", "shown"))
    for reader in after:
        both = sorted(before[reader].keys() & after[reader].keys())
        known = [number for number in both if number in truth]
        to_right = to_wrong = 0
        test = None
        if known:
            labels = np.array([truth[number] for number in known])
            was, is_now = (
                np.array([calls[reader][number] != "none" for number in known])
                for calls in (before, after)
            )
            test = mcnemar(agreement(labels, is_now, was))
            to_right, to_wrong = test.only_a, test.only_b
        changed = sum(before[reader][number] != after[reader][number] for number in both)
        found.append(Change(reader, len(both), changed, to_right, to_wrong, test))
    return tuple(found)
