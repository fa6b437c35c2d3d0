"""How the models in use rank and call slices of phantoms, whose labels are known.

    python benchmarks/phantom_slices.py [ARTIFACTS]

Twenty synthetic heads: five kinds of bleed of 5, 15 and 40 ml (20 in ventricles), and five without. A
slice bleeds where it shows more than 25 square millimetres of blood; one with less is left out. A
phantom is not a patient: it shows whether a probability means the slice, not how good a model is.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from sklearn.metrics import roc_auc_score

from hemodetect.evaluation.levels import called
from hemodetect.imaging import read_study
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.phantom import Bleed, head_phantom
from hemodetect.phantom.bleeds import BleedType
from hemodetect.phantom.files import write_dicom_series
from hemodetect.phantom.head import Phantom
from hemodetect.prediction.study_prediction import StudyPrediction, predict_study
from hemodetect.registry.releases import load_releases
from hemodetect.settings import settings

VOLUMES_ML = (5.0, 15.0, 40.0)
LARGEST_IN_VENTRICLES_ML = 20.0
WITHOUT = 5


def phantoms() -> list[tuple[str, Phantom]]:
    """(description, head) of each phantom."""
    heads = []
    kinds = get_args(BleedType)
    for number, kind in enumerate(kinds):
        for size, nominal in enumerate(VOLUMES_ML):
            volume = min(nominal, LARGEST_IN_VENTRICLES_ML) if "ventricular" in kind else nominal
            side: Literal["left", "right"] = "left" if (number + size) % 2 else "right"
            seed = 10 * number + size
            name = f"{kind}, {volume:.0f} ml"
            heads.append(
                (
                    name,
                    head_phantom(
                        [Bleed(kind, volume, side)], seed=seed, size=384, pixel_spacing_mm=0.6
                    ),
                )
            )
    heads += [
        ("no bleed", head_phantom([], seed=900 + n, size=384, pixel_spacing_mm=0.6))
        for n in range(WITHOUT)
    ]
    return heads


def main() -> None:
    artifacts = Path(sys.argv[1]) if len(sys.argv) > 1 else settings().artifacts
    loaded = load_releases(artifacts)
    studies: list[tuple[str, np.ndarray, np.ndarray, StudyPrediction]] = []
    for name, phantom in phantoms():
        with tempfile.TemporaryDirectory() as folder:
            files = write_dicom_series(phantom, Path(folder))
            prediction = predict_study(read_study(Path(folder)), loaded.models)
        place = {file.name: number for number, file in enumerate(files)}
        order = [place[Path(image.source).name] for image in prediction.study.slices]
        blood = np.asarray(phantom.bleed_mask.any(axis=(1, 2)))[order]
        label = phantom.slice_labels[order]
        studies.append((name, label, label | ~blood, prediction))
    for family in loaded.models:
        of_family = [prediction.families[family] for *_, prediction in studies]
        label = np.concatenate([label[counted] for _, label, counted, _ in studies])
        probability = np.concatenate(
            [
                a.probabilities[counted]
                for a, (_, _, counted, _) in zip(of_family, studies, strict=True)
            ]
        )
        calls = np.asarray(called(probability, of_family[0].slice_limit))
        bleeds = np.array([bool(label.any()) for _, label, _, _ in studies])
        right = np.array([a.call == "hemorrhage" for a in of_family]) == bleeds
        silent = np.array([a.undecided for a in of_family])
        print(
            f"{FAMILY_NAMES[family]:<20} slices: AUROC {roc_auc_score(label, probability):.3f},"
            f" {calls[label].mean():.0%} of {label.sum()} bleeding called,"
            f" {calls[~label].mean():.0%} of {(~label).sum()} bloodless;"
            f" studies: {right[~silent].sum()} right, {(~right[~silent]).sum()} wrong,"
            f" {silent.sum()} cannot tell of {len(right)}"
        )
        missed = [n for (n, *_), a, b in zip(studies, of_family, bleeds, strict=True)
                  if b and a.call != "hemorrhage"]  # fmt: skip
        if missed:
            print(f"{'':<20} missed: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
