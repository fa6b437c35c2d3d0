"""Contents of an audit, and labels that can be predicted without anatomy."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from drawn_heads import Scan, drawn_dataset
from PIL import Image

from hemodetect.cli import main
from hemodetect.dataset.audit import audit, audit_text
from hemodetect.dataset.cache import Dataset, open_dataset
from hemodetect.dataset.encoding import read_encoding
from hemodetect.dataset.shortcuts import Shortcut, shortcuts

pytestmark = pytest.mark.slow
SOURCES = ["image border", "head-rest", "file size", "slice order", "image shape", "file encoding"]


@pytest.fixture
def heads(tmp_path: Path) -> Dataset:
    return drawn_dataset(tmp_path, [Scan(person, seed=person) for person in range(16)])


def _by_source(dataset: Dataset) -> dict[str, Shortcut]:
    groups = {p: p for p in dataset.slices["patient"]}
    return {s.source: s for s in shortcuts(dataset, groups)}


def test_without_a_shortcut_file_size_and_shape_are_at_chance(heads: Dataset) -> None:
    by_source = _by_source(heads)
    assert list(by_source) == SOURCES
    for source in ("file size", "image shape", "file encoding"):
        assert by_source[source].auroc_patient == by_source[source].auroc_slice == 0.5


def test_a_mark_at_the_border_gives_the_labels_away(heads: Dataset) -> None:
    grey = np.load(heads.folder / "grey128.npy")
    grey[heads.labels == 1, :3, 100:] = 200
    np.save(heads.folder / "grey128.npy", grey)
    by_source = _by_source(heads)
    assert by_source["image border"].auroc_patient == 1.0
    assert "may learn this" in by_source["image border"].sentence
    assert "may learn this" not in by_source["image shape"].sentence


def test_a_head_rest_of_one_class_gives_the_labels_away(heads: Dataset) -> None:
    grey = np.load(heads.folder / "grey128.npy")
    grey[heads.labels == 1, 118:121, 20:108] = 220
    np.save(heads.folder / "grey128.npy", grey)
    by_source = _by_source(heads)
    assert by_source["head-rest"].auroc_patient == 1.0
    assert by_source["image border"].auroc_patient < 1.0


def test_a_scan_direction_of_one_class_gives_the_labels_away(heads: Dataset) -> None:
    grey = np.load(heads.folder / "grey128.npy").reshape(16, 12, 128, 128)
    grey[1::2] = grey[1::2, ::-1]
    np.save(heads.folder / "grey128.npy", grey.reshape(-1, 128, 128))
    assert _by_source(heads)["slice order"].auroc_patient == 1.0


def test_chance_grows_wide_where_patients_are_few(heads: Dataset) -> None:
    # Eight and eight: 0.5 +- 1.96 sqrt(17 / (12 * 64)).
    assert _by_source(heads)["file size"].chance_patient == pytest.approx(
        (0.2084, 0.7916), abs=1e-4
    )


def test_one_patient_group_in_a_class_gives_no_shortcuts(heads: Dataset) -> None:
    joined = {p: "p1" if int(p[1:]) % 2 else p for p in heads.slices["patient"]}
    assert shortcuts(heads, joined) == ()


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", b"II*\x00\xff\xff\xff\xff"],
)
def test_a_header_that_cannot_be_read_gives_no_encoding(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(content)
    assert read_encoding(file).kind == ""


def test_exif_and_quality_are_read_from_the_header(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[305] = "made by a test"
    picture = Image.new("L", (16, 16))
    picture.save(tmp_path / "a.jpg", exif=exif, quality=50)
    picture.save(tmp_path / "b.jpg", quality=95)
    with_exif, without = read_encoding(tmp_path / "a.jpg"), read_encoding(tmp_path / "b.jpg")
    assert (with_exif.exif, without.exif) == (True, False)
    assert with_exif.quantisation > without.quantisation > 0


def test_the_audit_lists_what_is_odd_in_a_folder(blob_folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(blob_folder, root)
    shutil.copytree(root / "NORMAL" / "P01", root / "NORMAL" / "P99")
    Image.effect_noise((60, 50), 40).save(root / "NORMAL" / "P00" / "other_1.png")
    (root / "NORMAL" / "P02" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    result = audit(open_dataset(root))
    assert (result.slices, result.patients, result.groups) == (78, 13, 12)
    assert [(c.name, c.patients, c.groups) for c in result.classes] == [
        ("normal", 7, 6),
        ("hemorrhage", 6, 6),
    ]
    assert [(s.identical, s.smaller) for s in result.shared] == [(6, 6)]
    assert sorted(f.sizes for f in result.folders)[-2:] == [1, 2]
    assert sorted(len(f.series) for f in result.folders)[-2:] == [1, 2]
    assert [r.file for r in result.refused] == ["NORMAL/P02/3.png"]
    text = audit_text(result)
    for words in ("6 pictures in common", "2 sizes", "Several series", "NORMAL/P02/3.png"):
        assert words in text


def test_the_command_prints_text_or_json(blob_folder: Path, capsys) -> None:
    assert main(["audit", str(blob_folder)]) == 0
    assert re.search(r"72 slices, 12 patient folders", capsys.readouterr().out)
    assert main(["audit", str(blob_folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["patients"] == 12
