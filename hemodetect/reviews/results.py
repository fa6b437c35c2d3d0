"""Results of a review session: figures of readers and models for the same studies.

A call of *not sure* counts as a call of hemorrhage, because such a study is looked at again. Every
figure comes with the number of these calls. The readers' majority is the call that most of them gave;
a tie is *not sure*.
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
        who: the reader's name, "Majority", or the model's display name.
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
        """Display name, with the stage."""
        return f"{self.who}, {STAGE_WORDS[self.stage]}" if self.stage else self.who

    @property
    def key(self) -> str:
        """Unique in its session, even if a reader is named like a model."""
        return f"{self.stage}:{self.place}:{self.who}"


@dataclass(frozen=True, eq=False)
class Rated:
    """A rater's calls compared with the truth.

    Attributes:
        n: studies called.
        unsure: number of these that a reader called not sure (counted as hemorrhage), or that a model
            could not tell (counted by its operating point).
        cases: numbers of the studies whose truth is known, by cell ("tn", "fp", "fn", "tp").
        confusion: size of these cells; None where no truth is known.
        scores: with intervals; None where the truth has one class only. The AUROC is of the reader's
            rating (`rating`) or of the model's probability.
        roc: of a model; None where there are no scores.
        median_seconds: reading time of a study; None for models and the majority.
        trained_on, unknown: numbers of studies of patients that the model was trained on, and of
            studies where this is unknown.
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
    """How a reader changed calls after seeing the models.

    Attributes:
        n: studies read without and then with the models.
        changed: number of calls that changed.
        to_right, to_wrong: number of calls that became right, and that became wrong, where the truth
            is known. Not sure counts as hemorrhage.
        test: exact McNemar test of these two numbers; None where no truth is known.
    """

    reader: str
    n: int
    changed: int
    to_right: int
    to_wrong: int
    test: McNemar | None


@dataclass(frozen=True, eq=False)
class Results:
    """All results of a session.

    Attributes:
        session: the session.
        done: share of the possible reads that are done, 0 to 1.
        skips: studies that a reader had to skip.
        rated: readers at each stage, their majority at each stage, models.
        kappas: (name of one rater, of another, stage) -> Cohen's kappa of their three kinds of call.
        fleiss: stage -> Fleiss' kappa of all readers, on the studies that all of them have read.
        changes: one for each reader, in mode blind-first.
        baseline: accuracy of the majority-class baseline; None where no truth is known.
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
    """The results of everything read so far."""
    truth = {s.number: int(s.truth == "hemorrhage") for s in session.studies if s.truth}
    stages = [stage for stage in STAGE_WORDS if any(read.stage == stage for read in reads)]
    rated: list[Rated] = []
    for stage in stages:
        calls = _calls(session, reads, stage)
        for place, reader in enumerate(session.readers):
            reader_reads = [read for read in reads if (read.reader, read.stage) == (reader, stage)]
            if reader_reads:
                rater = Rater(reader, stage, place=place)
                ratings = {read.study: rating(read) for read in reader_reads}
                seconds = median(read.seconds for read in reader_reads)
                rated.append(_rated(rater, calls[reader], ratings, truth, seconds))
        if len(calls) > 1:
            majority_calls = majority(calls)
            rater = Rater("Majority", stage)
            shares = {
                number: float(np.mean([c[number] != "none" for c in calls.values() if number in c]))
                for number in majority_calls
            }
            rated.append(_rated(rater, majority_calls, shares, truth, None))
    for (family, version), name in model_names(models).items():
        version_reads = [
            read for read in models if (read.family, read.version) == (family, version)
        ]
        model_calls: dict[int, Call] = {
            read.study: "hemorrhage" if read.call == "hemorrhage" else "none"
            for read in version_reads
        }
        probabilities = {read.study: read.probability for read in version_reads}
        model_rated = _rated(
            Rater(name, None, family=family), model_calls, probabilities, truth, None
        )
        rated.append(
            replace(
                model_rated,
                unsure=sum(read.undecided for read in version_reads),
                trained_on=sum(read.trained_on is True for read in version_reads),
                unknown=sum(read.trained_on is None for read in version_reads),
            )
        )
    n_hemorrhage = sum(truth.values())
    n_due = sum(len(session.still_due(reader, reads, skips)) for reader in session.readers)
    return Results(
        session=session,
        done=len(reads) / (len(reads) + n_due) if n_due else 1.0,
        skips=tuple(skips),
        rated=tuple(rated),
        kappas=_kappas(session, reads, stages),
        fleiss=_fleiss(session, reads, stages),
        changes=_changes(session, reads, truth),
        baseline=max(n_hemorrhage, len(truth) - n_hemorrhage) / len(truth) if truth else None,
    )


def model_names(models: Sequence[ModelRead]) -> dict[tuple[str, str], str]:
    """(Family, version) -> display name, with the version where the session was shown several."""
    versions: dict[str, list[str]] = {family: [] for family in FAMILY_NAMES}
    for read in models:
        if read.version not in versions[read.family]:
            versions[read.family].append(read.version)
    return {
        (family, version): FAMILY_NAMES[family]
        + (f" ({version})" if len(family_versions) > 1 else "")
        for family, family_versions in versions.items()
        for version in family_versions
    }


def rating(read: Read) -> float:
    """A read as a number from 0 (certainly none) to 1 (certainly hemorrhage), in eleven steps.

    Not sure is 0.5, whatever the confidence.
    """
    sign = {"hemorrhage": 1, "none": -1, "unsure": 0}[read.answer.call]
    return 0.5 + sign * read.answer.confidence / 10


def majority(calls: Mapping[str, Mapping[int, Call]]) -> dict[int, Call]:
    """Study -> the call that most readers gave; a tie is not sure.

    Args:
        calls: reader -> study -> call.
    """
    votes: dict[int, Counter[Call]] = {}
    for reader_calls in calls.values():
        for number, call in reader_calls.items():
            votes.setdefault(number, Counter())[call] += 1
    majority_calls: dict[int, Call] = {}
    for number, study_votes in votes.items():
        (call, most_votes), *others = study_votes.most_common()
        majority_calls[number] = "unsure" if others and others[0][1] == most_votes else call
    return majority_calls


def _calls(
    session: ReviewSession, reads: Sequence[Read], stage: Stage
) -> dict[str, dict[int, Call]]:
    """Reader -> study -> call at a stage, without readers who have read nothing."""
    calls: dict[str, dict[int, Call]] = {}
    for reader in session.readers:
        reader_calls = {
            r.study: r.answer.call for r in reads if (r.reader, r.stage) == (reader, stage)
        }
        if reader_calls:
            calls[reader] = reader_calls
    return calls


def _rated(
    rater: Rater,
    calls: Mapping[int, Call],
    ratings: Mapping[int, float],
    truth: Mapping[int, int],
    seconds: float | None,
) -> Rated:
    unsure = sum(call == "unsure" for call in calls.values())
    labelled_studies = [number for number in calls if number in truth]
    if not labelled_studies:
        return Rated(rater, len(calls), unsure, {}, None, None, None, seconds)
    labels = np.array([truth[number] for number in labelled_studies])
    called_hemorrhage = np.array([calls[number] != "none" for number in labelled_studies])
    cell_masks = {
        "tn": ~called_hemorrhage & (labels == 0),
        "fp": called_hemorrhage & (labels == 0),
        "fn": ~called_hemorrhage & (labels == 1),
        "tp": called_hemorrhage & (labels == 1),
    }
    cells = {
        cell: tuple(np.array(labelled_studies)[mask].tolist()) for cell, mask in cell_masks.items()
    }
    confusion = Confusion(**{cell: len(numbers) for cell, numbers in cells.items()})
    scores, roc = None, None
    if 0 < labels.sum() < len(labels):
        # A threshold of 0 or 1 for each case reproduces the known calls.
        cases = judged(
            "patient",
            labels,
            np.array([ratings[number] for number in labelled_studies], np.float32),
            np.arange(len(labelled_studies)),
        )
        scores = cases.at(np.where(called_hemorrhage, 0.0, 1.0))
        if rater.stage is None:
            roc = roc_curve_with_band(labels, cases.probabilities, cases.codes, cases.drawn)
    return Rated(rater, len(calls), unsure, cells, confusion, scores, roc, seconds)


def _kappas(
    session: ReviewSession, reads: Sequence[Read], stages: Sequence[Stage]
) -> dict[tuple[str, str, Stage], Metric]:
    kappas = {}
    for stage in stages:
        calls = _calls(session, reads, stage)
        for first_reader, second_reader in combinations(calls, 2):
            studies = sorted(calls[first_reader].keys() & calls[second_reader].keys())
            if studies:
                first_calls, second_calls = (
                    np.array([calls[r][n] for n in studies]) for r in (first_reader, second_reader)
                )
                kappas[first_reader, second_reader, stage] = cohen_kappa_with_interval(
                    first_calls, second_calls
                )
    return kappas


def _fleiss(
    session: ReviewSession, reads: Sequence[Read], stages: Sequence[Stage]
) -> dict[Stage, Metric]:
    kappas = {}
    for stage in stages:
        calls = _calls(session, reads, stage)
        if len(calls) < 3:
            continue  # Cohen's kappa covers two readers
        common = set.intersection(*(set(reader_calls) for reader_calls in calls.values()))
        if common:
            counts = np.array(
                [
                    [
                        sum(reader_calls[number] == call for reader_calls in calls.values())
                        for call in CALLS
                    ]
                    for number in sorted(common)
                ]
            )
            kappas[stage] = fleiss_kappa_with_interval(counts)
    return kappas


def _changes(
    session: ReviewSession, reads: Sequence[Read], truth: Mapping[int, int]
) -> tuple[Change, ...]:
    if session.mode != "blind-first":
        return ()
    changes = []
    before, after = (_calls(session, reads, stage) for stage in ("blind", "shown"))
    for reader in after:
        studies = sorted(before[reader].keys() & after[reader].keys())
        labelled_studies = [number for number in studies if number in truth]
        to_right = to_wrong = 0
        test = None
        if labelled_studies:
            labels = np.array([truth[number] for number in labelled_studies])
            hemorrhage_before, hemorrhage_after = (
                np.array([calls[reader][number] != "none" for number in labelled_studies])
                for calls in (before, after)
            )
            test = mcnemar(agreement(labels, hemorrhage_after, hemorrhage_before))
            to_right, to_wrong = test.only_a, test.only_b
        changed = sum(before[reader][number] != after[reader][number] for number in studies)
        changes.append(Change(reader, len(studies), changed, to_right, to_wrong, test))
    return tuple(changes)
