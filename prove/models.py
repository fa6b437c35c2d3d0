"""Promises about the models: maps that depend on the weights, and libraries that may be used."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from prove.outcome import ROOT, Outcome

MOST_CORRELATION = 0.3
SAME = 1e-6
_FORBIDDEN = re.compile(
    r"non.?commercial|CC[- ]BY[- ]NC|academic use|research (use )?only|SSPL", re.I
)


def randomised_maps(full: bool) -> Outcome:
    """Weights drawn anew, layer after layer from the top: the heat map must become another one.

    J. Adebayo et al., "Sanity checks for saliency maps", 2018, section 3.1. The rank correlation is
    over places of the map of one slice with a bleed, mean of five drawings.
    """
    import keras

    from hemodetect.explain.heat_maps import grad_cam_maps
    from hemodetect.imaging import UploadedFile, read_study
    from hemodetect.phantom.files import dicom_files
    from hemodetect.phantom.head import Bleed, head_phantom
    from hemodetect.preprocessing.model_input import model_input
    from hemodetect.registry.promotion import RELEASES
    from hemodetect.registry.releases import load_bundle
    from hemodetect.settings import settings

    phantom = head_phantom([Bleed("intraparenchymal", 40)], size=256, pixel_spacing_mm=0.9)
    study = read_study([UploadedFile(name, data) for name, data in dicom_files(phantom)])
    model = load_bundle(settings().artifacts / RELEASES / "cnn").fitted
    grey = model_input(study.slices, model.size)
    findings = model.predict(grey)
    index = int(np.argmax(findings.slices))

    def maps() -> dict[str, np.ndarray]:
        source = model.heat_map_source(grey)
        assert source.blood_maps is not None
        return {
            "Grad-CAM": grad_cam_maps(source)[index].ravel(),
            "blood map": source.blood_maps()[index].ravel(),
        }

    before = maps()
    network = model.heat_map_source(grey).network
    weighted = [layer for layer in network.layers if layer.trainable_weights]
    saved = network.get_weights()
    correlations: dict[str, list[float]] = {name: [] for name in before}
    for drawing in range(5):
        network.set_weights(saved)
        random = np.random.default_rng(drawing)
        for layer in reversed(weighted):
            layer.set_weights(
                [random.permutation(w.ravel()).reshape(w.shape) for w in layer.get_weights()]
            )
        for name, heat in maps().items():
            is_even = np.ptp(heat) == 0  # an empty map tells nothing
            value = 0.0 if is_even else spearmanr(before[name], heat).statistic
            correlations[name].append(float(value))
    network.set_weights(saved)
    means = {name: float(np.mean(values)) for name, values in correlations.items()}
    keras.utils.clear_session(free_memory=False)
    figure = ", ".join(f"{name} {value:.2f}" for name, value in means.items())
    return Outcome(
        f"rank correlation with all weights permuted: {figure}",
        all(abs(value) < MOST_CORRELATION for value in means.values()),
    )


def same_seed(full: bool) -> Outcome:
    """Every family trained twice with one seed, on synthetic pictures: the predictions of both."""
    from hemodetect.models.families import FAMILY_NAMES

    largest = {}
    with tempfile.TemporaryDirectory() as folder:
        data = _synthetic_set(Path(folder) / "set")
        for family in FAMILY_NAMES:
            tables = []
            for turn in ("first", "second"):
                out = Path(folder) / f"{family}-{turn}"
                epochs = ["--epochs", "1"] if family not in ("svm", "logistic") else []
                subprocess.run(
                    [sys.executable, "-m", "hemodetect", "train", "--data", data, "--model", family,
                     "--folds", "2", "--out", out, *epochs],
                    cwd=ROOT, check=True, capture_output=True,
                    env=os.environ | {"HEMODETECT_CACHE": f"{folder}/cache"},
                )  # fmt: skip
                tables.append(pd.read_parquet(out / "predictions.parquet"))
            first, second = tables
            largest[family] = float((first["probability"] - second["probability"]).abs().max())
    figure = ", ".join(f"{FAMILY_NAMES[name]} {value:.1g}" for name, value in largest.items())
    return Outcome(f"largest difference: {figure}", max(largest.values()) <= SAME)


def _synthetic_set(root: Path) -> Path:
    """Phantom pictures of 12 patients, laid out by class."""
    from hemodetect.phantom.files import write_pictures
    from hemodetect.phantom.head import Bleed, head_phantom

    for patient in range(12):
        bleeding = patient % 2
        bleeds = [Bleed("intraparenchymal", 40)] if bleeding else []
        phantom = head_phantom(bleeds, slices=6, size=128, pixel_spacing_mm=1.8, seed=patient,
                               slice_spacing_mm=10)  # fmt: skip
        name = f"{'H' if bleeding else 'N'}{patient}"
        write_pictures(phantom, root / ("Hemorrhagic" if bleeding else "NORMAL") / name)
    return root


def licences(full: bool) -> Outcome:
    """Of every library that requirements.txt pins."""
    names = re.findall(r"^([A-Za-z0-9_.-]+)==", (ROOT / "requirements.txt").read_text(), re.M)
    unknown, forbidden = [], []
    for name in names:
        try:
            about: Any = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue  # for another system
        stated = [
            about.get("License-Expression"),
            about.get("License"),
            *(about.get_all("Classifier") or []),
        ]
        texts = [text for text in stated if text and ("icen" in text or not text.count("::"))]
        if not texts:
            unknown.append(name)
        if any(_FORBIDDEN.search(text[:400]) for text in texts):
            forbidden.append(name)
    figure = (
        f"{len(names)} libraries, {len(forbidden)} with a licence that forbids use in a hospital,"
        f" {len(unknown)} that state none in their metadata"
    )
    if forbidden or unknown:
        figure += f" ({', '.join((forbidden + unknown)[:5])})"
    return Outcome(figure, not forbidden)
