"""The same work without a browser; `hemodetect --help` lists the commands."""

from __future__ import annotations

import argparse
import errno
import getpass
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hemodetect import RESEARCH_USE_ONLY, __version__
from hemodetect.errors import HemodetectError
from hemodetect.families import FAMILY_NAMES

if TYPE_CHECKING:
    from hemodetect.dataset.cache import Dataset
    from hemodetect.dataset.splits import Split
    from hemodetect.models.promotion import Promotion


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; 0 when it did what was asked, 1 with a sentence on stderr when not."""
    # Before anything brings in TensorFlow. Its oneDNN kernels are off by default on processors
    # without AVX-512; on those the CNN trains 1.6 times faster with them.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    options = parser().parse_args(arguments)
    try:
        return options.run(options)
    except HemodetectError as error:
        print(f"hemodetect: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nhemodetect: stopped; the same command goes on from here.", file=sys.stderr)
        return 130
    except Exception as error:
        told = _of_the_machine(error)
        if told is None:
            raise
        print(f"hemodetect: {told}", file=sys.stderr)
        return 1


def _of_the_machine(error: Exception) -> str | None:
    """A sentence where the machine ran out of something; None where the error is ours."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" ({error.filename})" if error.filename else ""
        return f"The disk is full{where}. Make room; the same command goes on from here."
    # TensorFlow's ResourceExhaustedError; JAX and others only say it in words.
    exhausted = (
        "resource_exhausted" in str(error).lower() or "ResourceExhausted" in type(error).__name__
    )
    if isinstance(error, MemoryError) or exhausted:
        return (
            "The device is out of memory. Choose a smaller batch (--batch) or another device; a"
            " training goes on from its last epoch only with the same batch."
        )
    return None


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(prog="hemodetect", description=__doc__, epilog=RESEARCH_USE_ONLY)
    top.add_argument("--version", action="version", version=f"hemodetect {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    audit = _command(commands, "audit", "patients, counts, duplicate scans, shortcuts", _audit)
    audit.add_argument("data", type=Path, metavar="DATA", help="folder of a labelled data set")
    audit.add_argument("--json", action="store_true", help="as JSON instead of text")

    train = _command(commands, "train", "train one family and write its bundle", _train)
    train.add_argument("--data", type=Path, required=True, help="folder of a labelled data set")
    train.add_argument("--model", required=True, choices=list(FAMILY_NAMES), help="family")
    train.add_argument("--recipe", default="paper", help="name of the recipe (default: paper)")
    train.add_argument(
        "--split",
        default="patient",
        help="patient (default), paper, or the file of a split made earlier",
    )
    train.add_argument(
        "--folds", type=_positive, default=5, help="of the patient split (default: 5)"
    )
    train.add_argument("--out", type=Path, required=True, help="folder of the bundle to write")
    train.add_argument(
        "--teacher", type=Path, metavar="BUNDLE", help="CNN of recipe blood (for recipe study)"
    )
    train.add_argument(
        "--teacher-data", type=Path, metavar="DATA", help="the set that one was trained on"
    )
    train.add_argument("--epochs", type=int, help="in place of the recipe's (networks)")
    train.add_argument("--batch", type=int, help="in place of the recipe's (networks)")
    train.add_argument("--learning-rate", type=float, help="in place of the recipe's (networks)")
    train.add_argument("--seed", type=int, default=0, help="of everything drawn (default: 0)")
    train.add_argument(
        "--device",
        default="cpu",
        help="cpu (default), gpu, gpu:NUMBER, or gpus (all at once); refuses where there is no GPU",
    )
    train.add_argument(
        "--estimate", action="store_true", help="only say how long it will take, from a short try"
    )

    listing = _command(commands, "jobs", "trainings started from the page, newest first", _jobs)
    listing.add_argument("--json", action="store_true", help="one object a job, one a line")
    for action, summary in (
        ("cancel", "end a training that was started from the page"),
        ("resume", "go on with one that was interrupted, cancelled or failed"),
    ):
        ask = _command(commands, action, summary, _cancel if action == "cancel" else _resume)
        ask.add_argument("job", metavar="JOB", help="its id, as `hemodetect jobs` shows it")

    search = _command(commands, "search", "grid search over patient folds, nested", _search)
    search.add_argument("--data", type=Path, required=True, help="folder of a labelled data set")
    search.add_argument("--model", required=True, choices=["svm", "logistic"], help="family")
    search.add_argument(
        "--split", default="patient", help="patient (default), or the file of a split made earlier"
    )
    search.add_argument("--folds", type=_positive, default=5, help="of the split (default: 5)")
    search.add_argument("--seed", type=int, default=0, help="of the split (default: 0)")
    search.add_argument("--workers", type=_positive, default=2, help="processes (default: 2)")
    search.add_argument("--out", type=Path, metavar="FILE", help="write every figure as JSON")

    evaluate = _command(
        commands, "evaluate", "table of bundles' figures, with intervals", _evaluate
    )
    evaluate.add_argument("bundles", type=Path, nargs="+", metavar="BUNDLE", help="bundle folders")
    evaluate.add_argument(
        "--data",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="labelled set to judge the bundles on; may be given again. Out-of-fold predictions on"
        " the set a bundle was trained on, its model's on any other",
    )
    evaluate.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the predictions for the Compare page (needs --data)",
    )

    for action, summary in (
        ("promote", "make a bundle the release of its family"),
        ("rollback", "put the release before back into use"),
    ):
        change = _command(commands, action, summary, _promote if action == "promote" else _rollback)
        if action == "promote":
            change.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")
        else:
            change.add_argument("family", choices=list(FAMILY_NAMES), help="family")
            change.add_argument("--version", help="an earlier one than the one before")
        change.add_argument("--why", required=True, help="kept in the promotions' trail")
        change.add_argument("--who", default=None, help="default: the user of this machine")

    predict = _command(commands, "predict", "five models on folders, zips or files", _predict)
    predict.add_argument("studies", type=Path, nargs="+", metavar="STUDY", help="what to read")
    predict.add_argument(
        "--json", type=Path, metavar="FILE", help="write one object a study, one a line"
    )
    return top


def _command(
    commands: argparse._SubParsersAction,
    name: str,
    summary: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    made = commands.add_parser(name, help=summary, description=summary, epilog=RESEARCH_USE_ONLY)
    made.set_defaults(run=run)
    return made


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def _audit(options: argparse.Namespace) -> int:
    from hemodetect.dataset.audit import audit, audit_text
    from hemodetect.dataset.cache import open_dataset

    found = audit(open_dataset(options.data, _counted("decoding")))
    print(json.dumps(found.to_json(), indent=1) if options.json else audit_text(found))
    return 0


def _train(options: argparse.Namespace) -> int:
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
        seed=options.seed,
        device=options.device,
        teacher=None if options.teacher is None else str(options.teacher),
        teacher_data=None if options.teacher_data is None else str(options.teacher_data),
    )
    recipe = plan.checked_recipe()  # before TensorFlow is brought in, which takes seconds

    from hemodetect.dataset.cache import open_dataset
    from hemodetect.models.devices import require_gpu
    from hemodetect.models.recipes import StudyRecipe
    from hemodetect.training.study import train_study_bundle
    from hemodetect.training.train import train_bundle

    if options.device != "cpu":
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


def _jobs(options: argparse.Namespace) -> int:
    from hemodetect.training.jobs import jobs

    for job in jobs():
        if options.json:
            print(json.dumps(asdict(job), default=str))
        else:
            plan = f"{job.plan.family} {job.plan.recipe} on {Path(job.plan.data).name}"
            print(f"{job.number:4} {job.id} {job.state:11} {plan}, by {job.who}  {job.reason}")
    return 0


def _cancel(options: argparse.Namespace) -> int:
    from hemodetect.training.jobs import cancel

    print(f"Job {cancel(options.job).number} is being ended.")
    return 0


def _resume(options: argparse.Namespace) -> int:
    from hemodetect.training.jobs import resume

    print(f"Job {resume(options.job).number} is in line again.")
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


def _search(options: argparse.Namespace) -> int:
    from hemodetect.dataset.cache import open_dataset
    from hemodetect.reports.search import search_text
    from hemodetect.training.search import search

    dataset = open_dataset(options.data, _counted("decoding"))
    split = _split(options, dataset)

    def told(line: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {options.model}: {line}", file=sys.stderr, flush=True)

    found = search(dataset, split, options.model, workers=options.workers, report=told)
    if options.out:
        found.write(options.out)
    print(search_text(found))
    return 0


def _evaluate(options: argparse.Namespace) -> int:
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


def _promote(options: argparse.Namespace) -> int:
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


def _rollback(options: argparse.Namespace) -> int:
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


def _who(options: argparse.Namespace) -> str:
    return options.who or getpass.getuser()


def _told(done: Promotion) -> str:
    before = f", in place of {done.old}" if done.old else ""
    return f"{FAMILY_NAMES[done.family]}: {done.new} is in use{before}."


def _predict(options: argparse.Namespace) -> int:
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
