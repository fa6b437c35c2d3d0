"""The slices that a bundle lists show whether its model was trained on a patient."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from hemodetect.models.families import FAMILY_NAMES
from hemodetect.registry.bundle import BACKBONE_PREDICTIONS, PREDICTIONS, read_card
from hemodetect.registry.training_patients import trained_on

ROOT = Path(__file__).parents[2]


def listed(name: str) -> tuple[str, list[str]]:
    """A patient of the CNN in use, or of its backbone, and its slices as the set names them."""
    table = pd.read_parquet(ROOT / "artifacts/releases/cnn" / name)
    if name == BACKBONE_PREDICTIONS:
        table = table[table["patient"].str.startswith("ct-ich/")]
        table = table.assign(
            **{c: table[c].str.removeprefix("ct-ich/") for c in ("patient", "slice")}
        )
    patient = str(table["patient"].iloc[0])
    return patient, list(table.loc[table["patient"] == patient, "slice"])


def test_the_released_models_know_their_patients_and_their_backbone_s() -> None:
    in_use = {read_card(ROOT / "artifacts/releases" / f).version: True for f in FAMILY_NAMES}
    for name in (PREDICTIONS, BACKBONE_PREDICTIONS):
        patient, slices = listed(name)
        assert trained_on(ROOT / "artifacts", patient, slices) == in_use
        # One came since, and some cannot be read any more.
        assert trained_on(ROOT / "artifacts", patient, [*slices[:3], "one-more.jpg"]) == in_use


def test_a_patient_of_the_same_name_elsewhere_was_not_trained_on() -> None:
    patient, slices = listed(PREDICTIONS)
    unlisted = [f"other/{n}.jpg" for n in range(len(slices))]
    for name, names in (
        (patient, unlisted), (patient, [slices[0], *unlisted]), ("nobody", slices), (patient, []),
    ):  # fmt: skip
        answers = trained_on(ROOT / "artifacts", name, names)
        assert len(answers) == 5
        assert not any(answers.values())


def test_a_bundle_that_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    patient, slices = listed(PREDICTIONS)
    folder = tmp_path / "releases/cnn"
    shutil.copytree(ROOT / "artifacts/releases/cnn", folder)
    (tmp_path / "networks").symlink_to(ROOT / "artifacts/networks")
    assert list(trained_on(tmp_path, patient, slices).values()) == [True]
    (folder / PREDICTIONS).write_bytes(b"PAR1 no parquet PAR1")
    assert trained_on(tmp_path, patient, slices) == {}
