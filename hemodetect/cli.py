"""The same work without a browser; `hemodetect --help` lists the commands."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hemodetect import RESEARCH_USE_ONLY, __version__, commands
from hemodetect.errors import HemodetectError
from hemodetect.families import FAMILY_NAMES


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
    subparsers = top.add_subparsers(required=True, metavar="COMMAND")

    audit = _command(subparsers, "audit", "patients, counts, duplicate scans, shortcuts")
    audit.add_argument("data", type=Path, metavar="DATA", help="folder of a labelled data set")
    audit.add_argument("--json", action="store_true", help="as JSON instead of text")

    train = _command(subparsers, "train", "train one family and write its bundle")
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
    for name, kind in (("learning-rate", float), ("dropout", float), ("l2", float), ("depth", int)):
        train.add_argument(f"--{name}", type=kind, help="in place of the recipe's (networks)")
    train.add_argument("--seed", type=int, default=0, help="of everything drawn (default: 0)")
    train.add_argument(
        "--device",
        default="cpu",
        help="cpu (default), gpu, gpu:NUMBER, or gpus (all at once); refuses where there is no GPU",
    )
    train.add_argument(
        "--estimate", action="store_true", help="only say how long it will take, from a short try"
    )

    listing = _command(subparsers, "jobs", "trainings started from the page, newest first")
    listing.add_argument("--json", action="store_true", help="one object a job, one a line")
    for action, summary in (
        ("cancel", "end a training that was started from the page"),
        ("resume", "go on with one that was interrupted, cancelled or failed"),
    ):
        ask = _command(subparsers, action, summary)
        ask.add_argument("job", metavar="JOB", help="its id, as `hemodetect jobs` shows it")
        ask.add_argument("--who", default=None, help="default: the user of this machine")

    search = _command(subparsers, "search", "a family's settings over patient folds, nested")
    search.add_argument("--data", type=Path, required=True, help="folder of a labelled data set")
    search.add_argument(
        "--model",
        required=True,
        choices=list(FAMILY_NAMES),
        help="family; for the SVM every C, gamma and kernel, for the logistic regression every C, for"
        " a network learning rate, dropout, L2 and depth by trial",
    )
    search.add_argument(
        "--trials", type=_positive, default=20, help="in each fold (networks; default: 20)"
    )
    search.add_argument("--epochs", type=int, help="most of a trial (networks)")
    search.add_argument("--batch", type=int, help="in place of the recipe's (networks)")
    search.add_argument("--device", default="cpu", help="as for train (networks; default: cpu)")
    search.add_argument(
        "--split", default="patient", help="patient (default), or the file of a split made earlier"
    )
    search.add_argument("--folds", type=_positive, default=5, help="of the split (default: 5)")
    search.add_argument("--seed", type=int, default=0, help="of the split (default: 0)")
    search.add_argument("--workers", type=_positive, default=2, help="processes (default: 2)")
    search.add_argument("--out", type=Path, metavar="FILE", help="write every figure as JSON")

    evaluate = _command(subparsers, "evaluate", "table of bundles' figures, with intervals")
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
        change = _command(subparsers, action, summary)
        if action == "promote":
            change.add_argument("bundle", type=Path, metavar="BUNDLE", help="folder of the bundle")
        else:
            change.add_argument("family", choices=list(FAMILY_NAMES), help="family")
            change.add_argument("--version", help="an earlier one than the one before")
        change.add_argument("--why", required=True, help="kept in the promotions' trail")
        change.add_argument("--who", default=None, help="default: the user of this machine")

    trail = _command(subparsers, "audit-trail", "who did what; verify finds a changed entry")
    trail.add_argument("what", choices=["verify", "list"], help="check the chain, or print it")
    trail.add_argument(
        "--seal",
        metavar="DIGEST",
        help="printed by an earlier verify: shows that nothing was cut off since",
    )
    _command(subparsers, "sweep", "remove saved studies whose time is over")

    predict = _command(subparsers, "predict", "five models on folders, zips or files")
    predict.add_argument("studies", type=Path, nargs="+", metavar="STUDY", help="what to read")
    predict.add_argument(
        "--json", type=Path, metavar="FILE", help="write one object a study, one a line"
    )
    return top


def _command(
    subparsers: argparse._SubParsersAction, name: str, summary: str
) -> argparse.ArgumentParser:
    made = subparsers.add_parser(name, help=summary, description=summary, epilog=RESEARCH_USE_ONLY)
    made.set_defaults(run=getattr(commands, name.replace("-", "_")))
    return made


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number
