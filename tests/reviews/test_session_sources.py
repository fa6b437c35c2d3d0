"""Studies of a session open again, and nothing on the screen shows their label."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hemodetect.errors import HemodetectError
from hemodetect.phantom.head import Bleed, Phantom, head_phantom
from hemodetect.reviews import sources
from hemodetect.reviews.saved import StudyGone
from hemodetect.reviews.sources import (
    OfSet,
    Saved,
    SourceGone,
    SyntheticPhantom,
    as_json,
    from_json,
    labelled_patients,
    open_source,
)
from hemodetect.settings import settings


@pytest.fixture
def blobs(blob_folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HEMODETECT_DATA", str(blob_folder.parent))
    settings.cache_clear()
    return blob_folder.name


@pytest.mark.parametrize(
    "source", [SyntheticPhantom(3, "epidural", 9.5), OfSet("s", "p"), Saved("k")]
)
def test_a_source_comes_back_from_the_database(source: SyntheticPhantom | OfSet | Saved) -> None:
    assert from_json(as_json(source)) == source


def test_a_synthetic_phantom_has_the_requested_bleed(monkeypatch: pytest.MonkeyPatch) -> None:
    phantoms = []

    def small(bleeds: list[Bleed], *, seed: int) -> Phantom:
        phantoms.append((bleeds, seed))
        return head_phantom(bleeds, slices=4, size=128, pixel_spacing_mm=2.0, seed=seed)

    monkeypatch.setattr(sources, "head_phantom", small)
    sources._phantom_study.cache_clear()
    study = open_source(SyntheticPhantom(3, "subdural", 25.0))
    open_source(SyntheticPhantom(4))
    sources._phantom_study.cache_clear()
    assert phantoms == [([Bleed("subdural", 25.0)], 3), ([], 4)]
    assert [image.source for image in study.slices] == [f"slice {n}" for n in range(1, 5)]


def test_a_patient_of_a_set_opens_under_numbers_alone(blobs: str) -> None:
    patients = labelled_patients(blobs)
    assert sorted(patients.values()) == ["hemorrhage"] * 6 + ["none"] * 6
    for patient, truth in patients.items():
        study = open_source(OfSet(blobs, patient))
        assert [image.source for image in study.slices] == [f"slice {n}" for n in range(1, 7)]
        assert (max(int(image.values.max()) for image in study.slices) > 200) == (
            truth == "hemorrhage"
        )


@pytest.mark.parametrize("name", ["nothing", "../blobs0", "/etc", "..", "."])
def test_a_set_that_is_not_here_is_named(blobs: str, name: str) -> None:
    with pytest.raises(SourceGone, match="is not on this server"):
        open_source(OfSet(name, "p"))


def test_images_that_cannot_be_read_are_gone_and_their_files_are_not_named(
    blob_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(blob_folder, tmp_path / "torn")
    patient = sorted(labelled_patients_of(tmp_path, "torn", monkeypatch))[0]
    for picture in (tmp_path / "torn").rglob("*.png"):
        picture.write_bytes(b"torn")
    with pytest.raises(StudyGone) as raised:
        open_source(OfSet("torn", patient))
    assert str(raised.value) == "The images of this study are damaged; none can be read."


def labelled_patients_of(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("HEMODETECT_DATA", str(root))
    settings.cache_clear()
    return list(labelled_patients(name))


def test_a_patient_that_left_the_set_is_named(blobs: str) -> None:
    with pytest.raises(HemodetectError, match="no longer has this patient"):
        open_source(OfSet(blobs, "P99"))
