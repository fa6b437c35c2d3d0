"""From labelled sets to all models of the recipe study in one command, whatever the sets' labels."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from drawn_skulls import head_of_its_own
from PIL import Image

from hemodetect.cli import main
from hemodetect.models import blood_model
from hemodetect.models.recipes import RECIPES, recipe_named
from hemodetect.registry.bundle import read_card
from hemodetect.registry.releases import load_bundle
from hemodetect.training import chain

SLICES = 8


def write_by_slice(root: Path, seed: int, patients: int = 12) -> Path:
    """RSNA's layout: half of the patients bleed, in half of their slices."""
    (root / "images").mkdir(parents=True)
    kinds = ("intraventricular", "intraparenchymal", "subarachnoid", "epidural", "subdural")
    with (root / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "study", "any", *kinds])
        for patient in range(seed, seed + patients):
            plain, bleeding = (
                head_of_its_own(patient, SLICES, bleed=bleed) for bleed in (False, True)
            )
            for number in range(SLICES):
                bleeds = patient % 2 == 1 and number >= SLICES // 2
                name = f"ID_{patient:04x}{number:02x}.png"
                Image.fromarray((bleeding if bleeds else plain)[number]).save(
                    root / "images" / name
                )
                label = int(bleeds)
                writer.writerow([name, f"ID_{patient:04x}", label, 0, label, 0, 0, 0])
    return root


def write_by_patient(root: Path, seed: int, patients: int = 12) -> Path:
    """A folder a class."""
    for patient in range(seed, seed + patients):
        folder = root / ("Hemorrhagic" if patient % 2 else "NORMAL") / f"P{patient}"
        folder.mkdir(parents=True)
        for number, picture in enumerate(head_of_its_own(patient, SLICES, bleed=patient % 2 == 1)):
            Image.fromarray(picture).save(folder / f"{number + 1}.png")
    return root


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(
        recipe_named("cnn", "blood"), epochs=1, steps=2, batch=8, bleeding=2, painted=3
    )
    monkeypatch.setitem(RECIPES, ("cnn", "blood"), recipe)
    monkeypatch.setattr(blood_model, "_BATCH", 4)
    monkeypatch.setattr(chain, "BLOOD_FOLDS", 2)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_one_command_trains_the_blood_network_and_five_heads(
    tmp_path: Path, tiny: None, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = [
        write_by_slice(tmp_path / "a", 0, 4),
        write_by_slice(tmp_path / "b", 100, 4),
        write_by_patient(tmp_path / "c", 200, 12),
    ]
    command = ["train", *(f"--data={folder}" for folder in sets), "--model=all"]
    command += ["--recipe=study", "--folds=2", f"--out={tmp_path / 'out'}"]
    assert main(command) == 0
    for family in ("svm", "logistic", "cnn", "rnn", "attention_rnn"):
        card = load_bundle(tmp_path / "out" / family).card
        assert card.counts["slices"] == 12 * SLICES
        assert set(card.backbone_parts) == {"a", "b"}
    capsys.readouterr()
    assert main(command) == 0
    assert "epoch" not in capsys.readouterr().out  # all is done already


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_set_labelled_by_slice_is_enough(tmp_path: Path, tiny: None) -> None:
    folder, out = write_by_slice(tmp_path / "a", 0), tmp_path / "out"
    command = ["train", f"--data={folder}", "--model=logistic", "--recipe=study", f"--out={out}"]
    assert main(command) == 0
    card = read_card(out / "logistic")
    assert card.counts["patients"] == 12
    assert card.fingerprint == read_card(out / "blood").fingerprint == card.backbone_fingerprint
    assert any("cannot tell" in remark for remark in card.remarks)


def test_without_a_set_labelled_by_slice_the_command_says_what_is_needed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_by_patient(tmp_path / "c", 0)
    command = ["train", f"--data={folder}", "--model=all", "--recipe=study"]
    assert main([*command, f"--out={tmp_path / 'out'}"]) != 0
    assert "No set is labelled slice by slice" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_patient_in_both_kinds_of_sets_is_found_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_slice = write_by_slice(tmp_path / "a", 0, 6)
    by_patient = write_by_patient(tmp_path / "c", 100, 6)
    for number, file in enumerate(sorted((by_slice / "images").glob("ID_0002*"))):
        shutil.copy(file, by_patient / "NORMAL" / "P100" / f"{number + 1}.png")
    command = ["train", f"--data={by_slice}", f"--data={by_patient}", "--model=svm"]
    assert main([*command, "--recipe=study", f"--out={tmp_path / 'out'}"]) != 0
    assert "one labelled by patient: 1, such as" in capsys.readouterr().err
    assert not (tmp_path / "out" / "blood").exists()
