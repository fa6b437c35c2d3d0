"""Commands that fit models: train and search."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hemodetect.cli.options import Subparsers, command, counter, positive
from hemodetect.errors import HemodetectError
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.models.recipes import NetworkRecipe
from hemodetect.registry.bundle import CARD

if TYPE_CHECKING:
    from hemodetect.dataset.cache import Dataset
    from hemodetect.dataset.splits import Split


_ALL = "all"


def add_commands(subparsers: Subparsers) -> None:
    """Adds the commands train and search."""
    train_parser = command(
        subparsers, "train", train, "train one family, or all, and write the bundles"
    )
    train_parser.add_argument(
        "--data",
        type=Path,
        required=True,
        action="append",
        help="folder of a labelled data set, or a .sets file; may be repeated",
    )
    train_parser.add_argument(
        "--model",
        required=True,
        choices=[*FAMILY_NAMES, _ALL],
        help="family, or all: one after the other, each in its folder of --out",
    )
    train_parser.add_argument(
        "--recipe", default="paper", help="name of the recipe (default: paper)"
    )
    train_parser.add_argument(
        "--split",
        default="patient",
        help="patient (default), paper, or the file of a saved split",
    )
    train_parser.add_argument(
        "--folds",
        type=positive,
        default=5,
        help="number of folds of the patient split (default: 5)",
    )
    train_parser.add_argument(
        "--out", type=Path, required=True, help="folder of the bundle to write"
    )
    train_parser.add_argument(
        "--backbone",
        type=Path,
        metavar="BUNDLE",
        help="CNN of recipe blood (for recipe study); without it one is trained first, on the sets that"
        " are labelled slice by slice",
    )
    train_parser.add_argument(
        "--backbone-data",
        type=Path,
        metavar="DATA",
        help="training set of the backbone",
    )
    train_parser.add_argument(
        "--peer-maps",
        type=Path,
        metavar="FOLDER",
        help="maps of blood by another network, a folder a set (recipe blood)",
    )
    train_parser.add_argument("--epochs", type=int, help="replaces the recipe's value (networks)")
    train_parser.add_argument("--batch", type=int, help="replaces the recipe's value (networks)")
    for name, kind in (("learning-rate", float), ("dropout", float), ("l2", float), ("depth", int)):
        train_parser.add_argument(
            f"--{name}", type=kind, help="replaces the recipe's value (networks)"
        )
    train_parser.add_argument(
        "--stop-patience",
        type=int,
        metavar="EPOCHS",
        help="epochs without gain before training stops; 0: train every epoch and keep the last, as the"
        " study did (networks)",
    )
    train_parser.add_argument(
        "--precision",
        choices=["float32", "bfloat16"],
        help="of products in training (networks; default: bfloat16 on a card that has it, else"
        " float32); bfloat16 is faster where it is built in",
    )
    train_parser.add_argument(
        "--seed", type=int, default=0, help="seed of all random numbers (default: 0)"
    )
    train_parser.add_argument(
        "--device",
        default="cpu",
        help="cpu (default), gpu, gpu:NUMBER, or gpus (all at once); refuses where there is no GPU",
    )
    train_parser.add_argument(
        "--estimate",
        action="store_true",
        help="only print the expected duration, from a short training",
    )

    search_parser = command(
        subparsers, "search", search, "a family's settings over patient folds, nested"
    )
    search_parser.add_argument(
        "--data", type=Path, required=True, help="folder of a labelled data set, or a .sets file"
    )
    search_parser.add_argument(
        "--model",
        required=True,
        choices=list(FAMILY_NAMES),
        help="family; for the SVM every C, gamma and kernel, for the logistic regression every C, for"
        " a network learning rate, dropout, L2 and depth by trial",
    )
    search_parser.add_argument(
        "--trials",
        type=positive,
        default=20,
        help="number of trials in each fold (networks; default: 20)",
    )
    search_parser.add_argument("--epochs", type=int, help="at most, in each trial (networks)")
    search_parser.add_argument("--batch", type=int, help="replaces the recipe's value (networks)")
    search_parser.add_argument(
        "--device", default="cpu", help="as for train (networks; default: cpu)"
    )
    search_parser.add_argument(
        "--split", default="patient", help="patient (default), or the file of a saved split"
    )
    search_parser.add_argument(
        "--folds", type=positive, default=5, help="number of folds of the split (default: 5)"
    )
    search_parser.add_argument("--seed", type=int, default=0, help="seed of the split (default: 0)")
    search_parser.add_argument("--workers", type=positive, default=2, help="processes (default: 2)")
    search_parser.add_argument("--out", type=Path, metavar="FILE", help="write all results as JSON")


def train(options: argparse.Namespace) -> int:
    """Trains families over a split and writes the bundles, or with --estimate prints the duration."""
    families = list(FAMILY_NAMES) if options.model == _ALL else [options.model]
    if options.device != "cpu":
        from hemodetect.training.devices import require_gpu

        require_gpu()
    if options.recipe == "study" and options.backbone is None:
        return _train_chain(options, families)
    for family in families:
        out = options.out / family if options.model == _ALL else options.out
        if options.model == _ALL and (out / CARD).is_file():
            print(f"{out}: is there already")
            continue
        _train_one(options, family, out)
    return 0


def _train_chain(options: argparse.Namespace, families: list[str]) -> int:
    """Every step of the recipe study; --epochs is that of the network for blood."""
    if options.split != "patient" or options.estimate:
        raise HemodetectError(
            "The recipe study without --backbone is trained under the split by patient, and its time"
            " is not estimated; leave out --split and --estimate."
        )
    for name in ("batch", "learning_rate", "dropout", "l2", "depth", "stop_patience", "precision"):
        if getattr(options, name) is not None:
            raise HemodetectError(
                f"The recipe study has no setting --{name.replace('_', '-')}; leave it out."
            )
    if options.backbone_data is not None:
        raise HemodetectError("--backbone-data belongs to --backbone; give both or neither.")
    from hemodetect.training.chain import train_study_models

    bundles = train_study_models(
        options.data,
        families,
        options.out,
        folds=options.folds,
        epochs=options.epochs,
        seed=options.seed,
        maps=options.peer_maps,
        parallel=options.device == "gpus",
        progress=counter("decoding"),
        report=_timed,
    )
    for name, folder in bundles.items():
        print(f"{name}: {folder}")
    return 0


def _timed(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def _train_one(options: argparse.Namespace, family: str, out: Path) -> None:
    from hemodetect.training.plan import TrainingPlan

    plan = TrainingPlan(
        data=str(options.data[0]),
        family=family,
        recipe=options.recipe,
        split=options.split,
        folds=options.folds,
        epochs=options.epochs,
        batch=options.batch,
        learning_rate=options.learning_rate,
        dropout=options.dropout,
        l2=options.l2,
        depth=options.depth,
        stop_patience=options.stop_patience,
        precision=options.precision,
        seed=options.seed,
        device=options.device,
        backbone=None if options.backbone is None else str(options.backbone),
        backbone_data=None if options.backbone_data is None else str(options.backbone_data),
    )
    recipe = plan.checked_recipe()  # before TensorFlow is imported, which takes seconds
    if plan.precision is None and plan.device != "cpu" and "precision" in recipe.adjustable:
        from hemodetect.training.jobs.gpus import cards_have_bfloat16

        if cards_have_bfloat16():
            recipe = replace(plan, precision="bfloat16").checked_recipe()

    from hemodetect.dataset.cache import open_dataset, open_together
    from hemodetect.dataset.joined import SUFFIX
    from hemodetect.training.train import train_bundle

    sets_file = options.out.with_name(options.out.name + SUFFIX)
    dataset = open_together(options.data, sets_file, counter("decoding"))
    split = _split(options, dataset, family)

    if options.estimate:
        from hemodetect.training.estimate import estimated_seconds

        seconds = estimated_seconds(dataset, split, recipe, options.epochs)
        print(f"about {seconds / 60:.1f} min, at most, with nothing else running")
        return

    backbone_data = None
    if options.backbone_data is not None:
        backbone_data = open_dataset(options.backbone_data, counter("decoding"))
    train_bundle(
        dataset,
        split,
        recipe,
        out,
        backbone=options.backbone,
        backbone_data=backbone_data,
        maps=options.peer_maps,
        epochs=options.epochs,
        seed=options.seed,
        parallel=options.device == "gpus",
        report=lambda line: _timed(f"{family} {split.name} {line}"),
    )


def search(options: argparse.Namespace) -> int:
    """Searches the settings of one family; prints the result and writes it to --out."""
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
        raise HemodetectError(
            "Tuning a network needs --out: its state is stored in the same folder."
        )

    from hemodetect.dataset.cache import open_dataset
    from hemodetect.reports.search import search_text
    from hemodetect.training.devices import require_gpu
    from hemodetect.training.grid_search import search

    if options.device != "cpu":
        require_gpu()
    dataset = open_dataset(options.data, counter("decoding"))
    split = _split(options, dataset, options.model)

    def report(line: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {options.model}: {line}", file=sys.stderr, flush=True)

    if isinstance(recipe, NetworkRecipe):
        from hemodetect.reports.search import tuning_text
        from hemodetect.training.fitting import Run
        from hemodetect.training.train import work_folder
        from hemodetect.training.tuning import tune

        run = Run(
            work_folder(options.out), report, options.epochs, options.seed, options.device == "gpus"
        )
        tuning = tune(dataset, split, recipe, run, trials=options.trials)
        tuning.write(options.out)
        shutil.rmtree(run.work)
        print(tuning_text(tuning))
        return 0
    result = search(dataset, split, options.model, workers=options.workers, report=report)
    if options.out:
        result.write(options.out)
    print(search_text(result))
    return 0


def _split(options: argparse.Namespace, dataset: Dataset, family: str) -> Split:
    """The split of --split, drawn or read; raises `SplitError` where a file does not fit the data."""
    from hemodetect.dataset.groups import patient_groups
    from hemodetect.dataset.splits import Split, paper_split, patient_split

    if options.split == "patient":
        return patient_split(
            dataset, patient_groups(dataset), folds=options.folds, seed=options.seed
        )
    if options.split == "paper":
        return paper_split(dataset, patient_groups(dataset), family, seed=options.seed)
    return Split.read(Path(options.split), dataset)
