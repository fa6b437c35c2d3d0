"""What each command of `hemodetect.cli` does with its options; imports late, for `--help` at once.

Each gives the exit status: 0 when it did what was asked.
"""

from __future__ import annotations

import argparse
import getpass
import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hemodetect.errors import HemodetectError
from hemodetect.families import FAMILY_NAMES
from hemodetect.models.recipes import NetworkRecipe
from hemodetect.people import Person, local_person

if TYPE_CHECKING:
    from hemodetect.dataset.cache import Dataset
    from hemodetect.dataset.splits import Split
    from hemodetect.models.promotion import Promotion


def audit(options: argparse.Namespace) -> int:
    from hemodetect.dataset.audit import audit, audit_text
    from hemodetect.dataset.cache import open_dataset

    found = audit(open_dataset(options.data, _counted("decoding")))
    print(json.dumps(found.to_json(), indent=1) if options.json else audit_text(found))
    return 0


def train(options: argparse.Namespace) -> int:
    from hemodetect.training.plan import TrainingPlan

    plan = TrainingPlan(
        data=str(options.data),
        family=options.model,
        recipe=options.recipe,
        split=options.split,
        folds=options.folds,
        epochs=options.epochs,
        batch=options.batch,
        learning_rate=options.learning_rate,
        dropout=options.dropout,
        l2=options.l2,
        depth=options.depth,
        seed=options.seed,
        device=options.device,
        teacher=None if options.teacher is None else str(options.teacher),
        teacher_data=None if options.teacher_data is None else str(options.teacher_data),
    )
    recipe = plan.checked_recipe()  # before TensorFlow is brought in, which takes seconds

    from hemodetect.dataset.cache import open_dataset
    from hemodetect.models.recipes import StudyRecipe
    from hemodetect.training.train import train_bundle

    if options.device != "cpu":
        from hemodetect.models.devices import require_gpu

        require_gpu()
    dataset = open_dataset(options.data, _counted("decoding"))
    split = _split(options, dataset)

    if options.estimate:
        from hemodetect.training.estimate import estimated_seconds

        seconds = estimated_seconds(dataset, split, recipe, options.epochs)
        print(f"about {seconds / 60:.1f} min, at most, with nothing else running")
        return 0

    def report(line: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {options.model} {split.name} {line}", flush=True)

    if isinstance(recipe, StudyRecipe):
        from hemodetect.training.study import train_study_bundle

        train_study_bundle(
            dataset,
            split,
            recipe,
            options.teacher,
            open_dataset(options.teacher_data, _counted("decoding")),
            options.out,
            seed=options.seed,
            report=report,
        )
        return 0
    train_bundle(
        dataset,
        split,
        recipe,
        options.out,
        epochs=options.epochs,
        seed=options.seed,
        parallel=options.device == "gpus",
        report=report,
    )
    return 0


def jobs(options: argparse.Namespace) -> int:
    from hemodetect.training.jobs import jobs

    for job in jobs():
        if options.json:
            print(json.dumps(asdict(job), default=str))
        else:
            plan = f"{job.plan.family} {job.plan.recipe} on {Path(job.plan.data).name}"
            print(f"{job.number:4} {job.id} {job.state:11} {plan}, by {job.who}  {job.reason}")
    return 0


def cancel(options: argparse.Namespace) -> int:
    from hemodetect.training.jobs import cancel

    print(f"Job {cancel(options.job, _who(options)).number} is being ended.")
    return 0


def resume(options: argparse.Namespace) -> int:
    from hemodetect.training.jobs import resume

    print(f"Job {resume(options.job, _who(options)).number} is in line again.")
    return 0


def _split(options: argparse.Namespace, dataset: Dataset) -> Split:
    """The split that was asked for, made or read."""
    from hemodetect.dataset.groups import patient_groups
    from hemodetect.dataset.splits import Split, paper_split, patient_split

    if options.split == "patient":
        return patient_split(
            dataset, patient_groups(dataset), folds=options.folds, seed=options.seed
        )
    if options.split == "paper":
        return paper_split(dataset, patient_groups(dataset), options.model, seed=options.seed)
    return Split.read(Path(options.split), dataset)


def search(options: argparse.Namespace) -> int:
    from hemodetect.training.plan import TrainingPlan

    plan = TrainingPlan(
        data=str(options.data),
        family=options.model,
        task="search",
        folds=options.folds,
        epochs=options.epochs,
        batch=options.batch,
        trials=options.trials,
        seed=options.seed,
        device=options.device,
    )
    recipe = plan.checked_recipe()
    if isinstance(recipe, NetworkRecipe) and options.out is None:
        raise HemodetectError("Tuning a network needs --out: its state is kept beside that file.")

    from hemodetect.dataset.cache import open_dataset
    from hemodetect.models.devices import require_gpu
    from hemodetect.reports.search import search_text
    from hemodetect.training.search import search

    if options.device != "cpu":
        require_gpu()
    dataset = open_dataset(options.data, _counted("decoding"))
    split = _split(options, dataset)

    def told(line: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {options.model}: {line}", file=sys.stderr, flush=True)

    if isinstance(recipe, NetworkRecipe):
        from hemodetect.models.family import Run
        from hemodetect.reports.search import tuning_text
        from hemodetect.training.train import work_folder
        from hemodetect.training.tuning import tune

        run = Run(
            work_folder(options.out), told, options.epochs, options.seed, options.device == "gpus"
        )
        tuned = tune(dataset, split, recipe, run, trials=options.trials)
        tuned.write(options.out)
        shutil.rmtree(run.work)
        print(tuning_text(tuned))
        return 0
    found = search(dataset, split, options.model, workers=options.workers, report=told)
    if options.out:
        found.write(options.out)
    print(search_text(found))
    return 0


def evaluate(options: argparse.Namespace) -> int:
    from hemodetect.evaluation import leakage_gaps, results_table
    from hemodetect.evaluation.bundles import evaluated_bundle, evaluated_models

    if options.data:
        from hemodetect.dataset.cache import open_dataset
        from hemodetect.evaluation.comparison_file import write_comparison
        from hemodetect.evaluation.outside import compare_bundles

        def told(line: str) -> None:
            print(line, file=sys.stderr, flush=True)

        datasets = [open_dataset(folder, _counted("decoding")) for folder in options.data]
        comparison = compare_bundles(options.bundles, datasets, told)
        if options.out:
            write_comparison(comparison, options.out)
            told(f"{options.out}: written")
        print(results_table(evaluated_models(comparison)))
        return 0
    if options.out:
        raise HemodetectError("--out needs --data: name the set that the bundles are judged on.")
    rows = [evaluated_bundle(folder) for folder in options.bundles]
    print(results_table(rows))
    for gap in leakage_gaps(rows):
        print(f"\n{gap.sentence}")
    return 0


def promote(options: argparse.Namespace) -> int:
    from hemodetect.models.promotion import promote
    from hemodetect.models.released import load_bundle
    from hemodetect.settings import settings

    done = promote(
        options.bundle,
        settings().artifacts,
        who=_who(options),
        why=options.why,
        check=load_bundle,
    )
    print(_told(done))
    return 0


def rollback(options: argparse.Namespace) -> int:
    from hemodetect.models.promotion import rollback
    from hemodetect.settings import settings

    done = rollback(
        options.family,
        settings().artifacts,
        who=_who(options),
        why=options.why,
        version=options.version,
    )
    print(_told(done))
    return 0


def _who(options: argparse.Namespace) -> Person:
    """Whoever has a shell on this machine may do everything."""
    return local_person(options.who or getpass.getuser())


def _told(done: Promotion) -> str:
    before = f", in place of {done.old}" if done.old else ""
    return f"{FAMILY_NAMES[done.family]}: {done.new} is in use{before}."


def audit_trail(options: argparse.Namespace) -> int:
    from hemodetect.audit_trail import entries, verify

    if options.what == "list":
        for entry in entries():
            print(
                entry.number, entry.at, f"{entry.who}:", entry.action, entry.subject, entry.detail
            )
        return 0
    count, digest = verify(options.seal)
    print(f"{count:,} entries, each as it was written.")
    if count:
        print(f"Note down this digest for --seal next time: {digest}")
    return 0


def sweep(options: argparse.Namespace) -> int:
    from hemodetect.reviews.saved import sweep

    removed = sweep()
    print(f"{removed} {'study' if removed == 1 else 'studies'} removed.")
    return 0


def predict(options: argparse.Namespace) -> int:
    from hemodetect.imaging import read_study
    from hemodetect.models.prediction import predict_study
    from hemodetect.models.released import load_releases
    from hemodetect.reports.predictions import prediction_json, prediction_text
    from hemodetect.settings import settings

    releases = load_releases(settings().artifacts)
    for family, reason in releases.missing.items():
        print(f"hemodetect: no {FAMILY_NAMES[family]}: {reason}", file=sys.stderr)
    if not releases.models:
        raise HemodetectError("no model can be loaded; train one or set HEMODETECT_ARTIFACTS.")
    failed, lines = 0, []
    for path in options.studies:
        try:
            prediction = predict_study(read_study(path), releases.models)
        except HemodetectError as error:
            print(f"hemodetect: {path}: {error}", file=sys.stderr)
            failed += 1
            continue
        print(prediction_text(prediction, path.name))
        lines.append(json.dumps(prediction_json(prediction), ensure_ascii=False))
    if options.json:
        partial = options.json.with_name(options.json.name + ".partial")
        partial.write_text("".join(line + "\n" for line in lines))
        partial.replace(options.json)
    return 1 if failed else 0


def _counted(doing: str) -> Callable[[int, int], None]:
    """Progress on one line of a terminal; silent where stderr is not one."""

    def told(done: int, total: int) -> None:
        if sys.stderr.isatty() and (done % 50 == 0 or done == total):
            end = "\n" if done == total else ""
            print(f"\r{doing} {done}/{total}", end=end, file=sys.stderr, flush=True)

    return told
