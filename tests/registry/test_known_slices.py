"""A training patient is known by the pixels, and is judged by models that had not seen it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drawn_studies import positions, slice_hu
from PIL import Image

from hemodetect.imaging import UploadedFile, read_study
from hemodetect.imaging.windows import BRAIN, windowed
from hemodetect.preprocessing.model_input import model_input, resized
from hemodetect.preprocessing.slice_hash import HASH_SIDE, differing_bits, slice_hashes
from hemodetect.registry.bundle import PREDICTIONS, Card, read_card
from hemodetect.registry.known_slices import HASH_COLUMN, KnownSlices
from hemodetect.settings import settings

PEOPLE = 6


def head(person: int, shift: float = 0.0) -> np.ndarray:
    """(31, 128, 128) uint8 of a head; the place of the bleed depends on `person`."""
    rows, columns = np.mgrid[:64, :64]
    images = []
    for z in positions():
        hu = slice_hu(z + shift, seed=50 * person, shift_mm=4.0 * (person - 3))
        spot = np.hypot(rows - 22 - 3 * person, columns - 40 + 3 * person) < 4 + person
        hu[spot & (hu > 0) & (hu < 200)] = 75
        images.append(resized(windowed(hu, BRAIN), HASH_SIDE))
    return np.stack(images)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> KnownSlices:
    """Slices of a bundle whose probabilities say which person and slice they are of."""
    folder = tmp_path_factory.mktemp("bundle")
    parts = [
        pd.DataFrame({
            "patient": f"p{person}",
            "slice": [f"{n}" for n in range(31)],
            "probability": np.arange(31) / 100,
            "patient_probability": person / 10,
            HASH_COLUMN: slice_hashes(head(person)),
        })
        for person in range(PEOPLE)
    ]  # fmt: skip
    # Rows come by fold, not by patient.
    pd.concat(parts).sample(frac=1, random_state=1).to_parquet(folder / PREDICTIONS)
    card = Card(
        family="svm", recipe="study", split="patient", fingerprint="0", counts={}, seed=0,
        epochs=None, threshold=0.5, threshold_reason="", metrics={}, seconds={}, versions={},
        commit="", created="", remarks=(), files={PREDICTIONS: ""},
    )  # fmt: skip
    of_bundle = KnownSlices.of(folder, card)
    assert of_bundle is not None
    return of_bundle


def recompressed(grey: np.ndarray, quality: int) -> np.ndarray:
    slices = []
    for image in grey:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=quality)
        slices.append(np.asarray(Image.open(buffer)))
    return np.stack(slices)


@pytest.mark.parametrize("person", range(PEOPLE))
@pytest.mark.parametrize("quality", [None, 90, 60])
def test_a_patient_is_known_and_gets_the_out_of_fold_answers(known, person, quality) -> None:
    grey = head(person)[::-1]  # in another order
    if quality:
        grey = recompressed(grey, quality)
    answers = known.out_of_fold(slice_hashes(grey))
    assert answers is not None
    assert answers.patient == pytest.approx(person / 10)
    expected = np.arange(31)[::-1] / 100
    # Some neighbours are alike to the hash; the answer is then a neighbour's.
    assert np.median(np.abs(answers.slices - expected)) == pytest.approx(0, abs=1e-6)
    assert np.abs(answers.slices - expected).max() < 0.1


def test_half_of_a_patient_is_known_and_a_few_slices_are_not(known) -> None:
    hashes = slice_hashes(head(2))
    assert known.out_of_fold(hashes[:15]) is not None
    assert known.out_of_fold(hashes[:4]) is None


def test_a_stranger_is_not_known(known) -> None:
    random = np.random.default_rng(0)
    assert known.out_of_fold(random.integers(0, 2**63, 40).astype(np.uint64)) is None


def test_a_bundle_without_hashes_knows_nobody(tmp_path: Path) -> None:
    table = pd.DataFrame({"patient": ["p"], "slice": ["1"], "probability": [0.5]})
    table.to_parquet(tmp_path / PREDICTIONS)
    card = Card(
        family="svm", recipe="study", split="patient", fingerprint="0", counts={}, seed=0,
        epochs=None, threshold=0.5, threshold_reason="", metrics={}, seconds={}, versions={},
        commit="", created="", remarks=(), files={PREDICTIONS: ""},
    )  # fmt: skip
    assert KnownSlices.of(tmp_path, card) is None


def test_bits_are_counted() -> None:
    first, second = np.array([0b1011, 0], np.uint64), np.array([0b0010], np.uint64)
    assert differing_bits(first, second).tolist() == [[2], [1]]


@pytest.mark.realdata
@pytest.mark.parametrize("way", ["folder", "uploads", "renamed and compressed"])
def test_n6_is_known_however_it_comes_and_so_is_its_copy(near_east: Path, way: str) -> None:
    folder = near_east / "NORMAL" / "N6[N6]"
    files = sorted(folder.iterdir(), key=lambda file: int(file.stem.rpartition("_")[2]))
    if way == "folder":
        study = read_study(folder)
    elif way == "uploads":
        study = read_study([UploadedFile(f"x/{f.name}", f.read_bytes()) for f in files])
    else:
        uploads = []
        for number, file in enumerate(files):
            buffer = io.BytesIO()
            Image.open(file).convert("L").save(buffer, "JPEG", quality=70)
            uploads.append(UploadedFile(f"case/{number}.jpg", buffer.getvalue()))
        study = read_study(uploads)
    release = settings().artifacts / "releases" / "cnn"
    known = KnownSlices.of(release, read_card(release))
    assert known is not None
    answers = known.out_of_fold(slice_hashes(model_input(study.slices, HASH_SIDE)))
    assert answers is not None
    table = pd.read_parquet(release / PREDICTIONS)
    copies = table[table["patient"].isin(["N6[N6]", "N27[N27]"])]
    assert answers.patient in set(copies["patient_probability"].astype(np.float32).tolist())
