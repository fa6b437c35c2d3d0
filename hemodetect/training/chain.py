"""Everything that the models of the recipe ``study`` need, from any labelled sets, one after the other.

1. The sets that are labelled slice by slice teach the network that looks for blood.
2. The sets whose label belongs to the patient teach, with the first, the five heads. Without such a set
   the heads learn from the first alone.

Each step is a bundle in the output folder; a step that is done is not done again, and one that was cut
off goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from hemodetect.dataset.cache import Dataset, open_dataset, open_together
from hemodetect.dataset.groups import patient_groups
from hemodetect.dataset.joined import SUFFIX
from hemodetect.dataset.splits import Split, patient_split
from hemodetect.errors import BundleError, DatasetError
from hemodetect.evaluation.levels import has_folder_labels
from hemodetect.models.recipes import recipe_named
from hemodetect.preprocessing.slice_hash import HASH_SIDE, slice_hashes
from hemodetect.registry.bundle import CARD, SPLIT, read_card
from hemodetect.registry.known_slices import KnownSlices
from hemodetect.training.fitting import Report
from hemodetect.training.train import train_bundle

BLOOD = "blood"
"""Folder of the network that looks for blood, in the output folder."""
BLOOD_FOLDS = 3
_BY_SLICE, _BY_PATIENT = f"labelled-by-slice{SUFFIX}", f"labelled-by-patient{SUFFIX}"


def train_study_models(
    folders: Sequence[Path],
    families: Sequence[str],
    out: Path,
    *,
    folds: int = 5,
    epochs: int | None = None,
    seed: int = 0,
    maps: Path | None = None,
    parallel: bool = False,
    progress: Callable[[int, int], None] | None = None,
    report: Report = print,
) -> dict[str, Path]:
    """Trains the network that looks for blood and the families' models.

    Args:
        folders: labelled sets, of different patients.
        families: their keys.
        out: folder of the bundles; made where it is missing.
        folds: of the patient split of the sets labelled by patient.
        epochs: of the network that looks for blood, where fewer than the recipe's are wanted.
        seed: of everything drawn at random.
        maps: folder of a second teacher's maps.
        parallel: the network on all GPUs at once.
        progress: called while slices are decoded.
        report: takes a line of progress.

    Returns:
        Folder of the bundle of each family, and of `BLOOD`.

    Raises:
        DatasetError: no set is labelled slice by slice.
        BundleError: a bundle in `out` was trained on other data.
    """
    sets = {folder: open_dataset(folder, progress) for folder in folders}
    by_slice = [f for f, data in sets.items() if not has_folder_labels(data.slices)]
    by_patient = [f for f in sets if f not in by_slice]
    if not by_slice:
        names = ", ".join(folder.name for folder in folders)
        raise DatasetError(
            f"No set is labelled slice by slice ({names}: every slice has its patient's label), and the"
            " network that looks for blood learns from such sets only. Add one (docs/data.md), or give"
            " --backbone and --backbone-data."
        )
    out.mkdir(parents=True, exist_ok=True)
    blood_data = open_together(by_slice, out / _BY_SLICE)
    target = open_together(by_patient, out / _BY_PATIENT) if by_patient else blood_data
    if by_patient:
        _check_apart(blood_data, target)  # before hours of training
    report(
        "labelled slice by slice: "
        + ", ".join(f.name for f in by_slice)
        + ("; by patient: " + ", ".join(f.name for f in by_patient) if by_patient else "")
    )
    blood_split = patient_split(
        blood_data, patient_groups(blood_data), folds=BLOOD_FOLDS, seed=seed
    )
    blood = out / BLOOD
    if not _is_done(blood, blood_data, seed):
        train_bundle(
            blood_data,
            blood_split,
            recipe_named("cnn", "blood"),
            blood,
            maps=maps,
            epochs=epochs,
            seed=seed,
            parallel=parallel,
            report=_named(report, BLOOD),
        )
    if by_patient:
        split = patient_split(target, patient_groups(target), folds=folds, seed=seed)
    else:
        split = Split.read(blood / SPLIT, blood_data)
    bundles = {BLOOD: blood}
    for family in families:
        bundles[family] = out / family
        if not _is_done(out / family, target, seed):
            train_bundle(
                target,
                split,
                recipe_named(family, "study"),
                out / family,
                backbone=blood,
                backbone_data=blood_data,
                seed=seed,
                report=_named(report, family),
            )
    return bundles


def _is_done(bundle: Path, dataset: Dataset, seed: int) -> bool:
    if not (bundle / CARD).is_file():
        return False
    card = read_card(bundle)
    if (card.fingerprint, card.seed) != (dataset.fingerprint, seed):
        raise BundleError(
            f"{bundle}: was trained on other data or with another seed; choose another folder for the"
            " results."
        )
    return True


def _check_apart(blood_data: Dataset, target: Dataset) -> None:
    """Raises `DatasetError` where a patient of the one is also in the other, known by pixels."""
    patients = blood_data.slices["patient"].to_numpy()
    rows = np.argsort(patients, kind="stable")
    starts = np.flatnonzero(np.r_[True, patients[rows][1:] != patients[rows][:-1]])
    nothing = np.zeros(len(rows), np.float32)
    known = KnownSlices(slice_hashes(blood_data.grey(HASH_SIDE))[rows], starts, nothing, nothing)
    hashes = slice_hashes(target.grey(HASH_SIDE))
    shared = known.patients_among(hashes, target.slices["patient"].to_numpy())
    if shared:
        raise DatasetError(
            f"Patients in both a set labelled by slice and one labelled by patient: {len(shared)}, such"
            f" as {shared[0]}; the models would be judged on patients they know. Use sets of"
            " different patients."
        )


def _named(report: Report, step: str) -> Report:
    return lambda line: report(f"{step} {line}")
