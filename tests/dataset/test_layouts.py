"""Each layout gives every slice its label, and reads the slices that the app would read."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import volume_sets as made

from hemodetect.dataset.cache import Dataset, open_dataset
from hemodetect.dataset.groups import patient_groups
from hemodetect.dataset.manifest import is_labelled_set
from hemodetect.dataset.slice_tables import BOXES, SUBTYPES
from hemodetect.dataset.splits import paper_split, patient_split
from hemodetect.errors import DatasetError
from hemodetect.imaging.windows import BRAIN, windowed
from hemodetect.models.recipes import recipe_named
from hemodetect.preprocessing.model_input import resized
from hemodetect.training.train import train_bundle

SLICES = made.SLICES
OF_STUDIES = [made.dicom_by_patient, made.nifti_by_study, made.cq500, made.classes]
OF_SLICES = [
    made.dicom_by_number, made.ct_ich, made.masks, made.masks_beside, made.rsna,
]  # fmt: skip


def opened(write: Callable[[Path], None], root: Path) -> Dataset:
    write(root)
    return open_dataset(root)


def heads_of(dataset: Dataset) -> dict[int, pd.DataFrame]:
    """Rows of each head, found by what its slices look like."""
    grey = {
        number: np.stack([resized(windowed(hu, BRAIN), 128) for hu in head.hu])
        for number, head in made.heads().items()
    }
    found = {}
    for _, rows in dataset.slices.groupby("patient"):
        seen = dataset.grey(128)[rows.index].astype(int)
        (number,) = (n for n, wanted in grey.items() if np.array_equal(seen, wanted[-len(seen) :]))
        found[number] = rows
    return found


@pytest.mark.parametrize("write", OF_STUDIES)
def test_every_slice_of_a_study_has_the_label_of_the_study(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    heads = heads_of(opened(write, tmp_path / "set"))
    assert is_labelled_set(tmp_path / "set")
    assert {number: len(rows) for number, rows in heads.items()} == dict.fromkeys(heads, SLICES)
    assert {n for n, rows in heads.items() if rows["label"].all()} == {2, 4}
    assert {n for n, rows in heads.items() if not rows["label"].any()} == {1, 3}


@pytest.mark.parametrize("write", OF_SLICES)
def test_every_slice_has_its_own_label(write: Callable[[Path], None], tmp_path: Path) -> None:
    heads = heads_of(opened(write, tmp_path / "set"))
    assert is_labelled_set(tmp_path / "set")
    assert len(heads) == 4
    for number, rows in heads.items():
        head = made.heads()[number]
        outlined = write in (made.masks, made.masks_beside)
        wanted = head.bleed_mask.any((1, 2)) if outlined else head.slice_labels
        assert list(rows["label"]) == list(wanted)


def test_a_file_without_a_row_is_left_out_and_kinds_are_kept(tmp_path: Path) -> None:
    heads = heads_of(opened(made.dicom_by_file, tmp_path / "set"))
    for number, rows in heads.items():
        head = made.heads()[number]
        assert list(rows["label"]) == list(head.slice_labels[1:])
        for kind in SUBTYPES:
            bleeds = head.slice_labels[1:] & (kind == made.kind_of(number))
            assert list(rows[kind]) == list(bleeds)


@pytest.mark.parametrize("write", [made.ct_ich, made.masks, made.masks_beside])
def test_boxes_lie_around_the_outlined_bleed(write, tmp_path: Path) -> None:
    for number, rows in heads_of(opened(write, tmp_path / "set")).items():
        for mask, drawn in zip(made.heads()[number].bleed_mask, rows[BOXES], strict=True):
            boxes = np.array(json.loads(drawn) if drawn else np.zeros((0, 4)))
            if mask.sum() >= 40:
                places = np.argwhere(mask)[:, ::-1]
                # Specks of fewer than four pixels have no box.
                np.testing.assert_allclose(boxes[:, :2].min(0), places.min(0), atol=3)
                np.testing.assert_allclose(boxes[:, 2:].max(0), places.max(0) + 1, atol=3)
            elif not mask.any():
                assert not len(boxes)


def test_no_patient_name_of_a_folder_is_kept(tmp_path: Path) -> None:
    dataset = opened(made.dicom_by_patient, tmp_path / "set")
    kept = dataset.slices.drop(columns="file").to_csv()
    assert "Doe" not in kept
    assert dataset.slices["slice"].is_unique


def test_a_volume_set_is_opened_from_the_cache_and_split_by_patient(tmp_path: Path) -> None:
    first = opened(made.ct_ich, tmp_path / "set")
    calls: list[int] = []
    again = open_dataset(tmp_path / "set", lambda done, _: calls.append(done))
    assert not calls
    assert again.fingerprint == first.fingerprint
    split = patient_split(again, patient_groups(again), folds=2)
    tested = [set(again.slices.loc[split.test_mask(again.slices, n), "patient"]) for n in (0, 1)]
    assert tested[0].isdisjoint(tested[1])
    assert len(tested[0] | tested[1]) == 4


def test_a_damaged_volume_is_refused_with_a_reason_and_the_others_are_read(tmp_path: Path) -> None:
    made.masks(tmp_path / "set")
    (tmp_path / "set" / "images" / "ID_3.nii.gz").write_bytes(b"\x1f\x8b damaged")
    dataset = open_dataset(tmp_path / "set")
    assert set(heads_of(dataset)) == {1, 2, 4}
    (refused,) = dataset.refused
    assert refused.file == "images/ID_3.nii.gz"
    assert refused.reason


def test_a_mask_of_another_grid_is_refused(tmp_path: Path) -> None:
    made.masks(tmp_path / "set")
    small = made.heads()[2].bleed_mask[:, :64, :64].astype(np.uint8)
    made.nifti(small, made.heads()[2], tmp_path / "set" / "ground truths" / "ID_2.nii.gz")
    dataset = open_dataset(tmp_path / "set")
    assert set(heads_of(dataset)) == {1, 3, 4}
    assert "one grid" in dataset.refused[0].reason


def test_two_studies_of_one_patient_are_two_series(tmp_path: Path) -> None:
    for number in (1, 2):
        made.write(made.headers(number), tmp_path / "p1" / f"study{number}")
    made.write(made.headers(3), tmp_path / "p3" / "study1")
    rows = [
        {"patient": "p1", "study": "study1", "label": 0},
        {"patient": "p1", "study": "study2", "label": 1},
        {"patient": "p3", "study": "study1", "label": 0},
    ]
    made.table(tmp_path / "labels.csv", rows)
    slices = open_dataset(tmp_path).slices
    assert slices["patient"].nunique() == 2
    by_series = slices.groupby(["patient", "series"])
    assert sorted(by_series.size()) == [SLICES] * 3
    assert sorted(by_series["label"].max()) == [0, 0, 1]
    for _, of_series in by_series:
        assert list(of_series["number"]) == list(range(1, SLICES + 1))


def test_volumes_of_one_name_in_several_folders_keep_their_own_masks(tmp_path: Path) -> None:
    for number, head in made.heads().items():
        made.nifti(head.hu, head, tmp_path / f"p{number}" / "ct.nii.gz")
        mask = head.bleed_mask.astype(np.uint8)
        made.nifti(mask, head, tmp_path / f"p{number}" / "ct_mask.nii.gz")
    dataset = open_dataset(tmp_path)
    assert dataset.slices["patient"].nunique() == 4
    for number, rows in heads_of(dataset).items():
        assert list(rows["label"]) == list(made.heads()[number].bleed_mask.any((1, 2)))


def test_a_corrected_patient_counts_although_no_slice_changed(tmp_path: Path) -> None:
    made.dicom_by_file(tmp_path)
    assert open_dataset(tmp_path).slices["patient"].nunique() == 4
    table = pd.read_csv(tmp_path / "labels.csv")
    owners = table["file"].str[0].replace({"3": "1"})
    table.assign(patient=owners).to_csv(tmp_path / "labels.csv", index=False)
    assert open_dataset(tmp_path).slices["patient"].nunique() == 3


def test_a_path_that_is_not_there_takes_no_other_file_of_that_name(tmp_path: Path) -> None:
    head = made.heads()[1]
    made.nifti(head.hu, head, tmp_path / "p1" / "scan.nii.gz")
    rows = [{"file": f"p{n}/scan.nii.gz", "label": n % 2} for n in (1, 2, 3)]
    made.table(tmp_path / "labels.csv", rows)
    with pytest.raises(DatasetError, match="only hemorrhage slices"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (
            [{"study": "ct", "label": 1}, {"study": "p1", "label": 0}],
            "another line names too",
        ),
        ([{"study": "p1", "label": 1}, {"study": "p1", "label": 0}], "one study both labels"),
    ],
)
def test_rows_that_contradict_one_another_are_refused(
    rows: list[dict[str, object]], reason: str, tmp_path: Path
) -> None:
    made.write(made.headers(1), tmp_path / "p1" / "ct")
    made.table(tmp_path / "labels.csv", rows)
    with pytest.raises(DatasetError, match=reason):
        open_dataset(tmp_path)


def test_no_error_of_a_table_names_a_patient(tmp_path: Path) -> None:
    for place in ("Doe Jane/ct", "Roe/ct"):
        made.write(made.headers(1), tmp_path / place, [f"IM{n}.dcm" for n in range(SLICES)])
    tables = [
        [{"patient": "Doe Jane", "label": 0}, {"patient": "ct", "label": 1}],
        [{"patient": "Doe Jane", "label": 0}, {"patient": "Doe Jane", "label": 1}],
        [{"file": "IM1.dcm", "patient": "Doe Jane", "label": 0}],
    ]
    for rows in tables:
        made.table(tmp_path / "labels.csv", rows)
        with pytest.raises(DatasetError, match=r"line [23]") as raised:
            open_dataset(tmp_path)
        assert "Doe" not in str(raised.value).replace(str(tmp_path), "")


def test_an_archive_in_place_of_a_volume_is_refused_alone(tmp_path: Path) -> None:
    made.masks(tmp_path)
    with tarfile.open(tmp_path / "images" / "ID_3.nii.gz", "w:gz") as archive:
        archive.add(tmp_path / "images" / "ID_1.nii.gz", "inner.nii.gz")
    dataset = open_dataset(tmp_path)
    assert set(heads_of(dataset)) == {1, 2, 4}
    assert dataset.refused[0].reason == "It is an archive; unpack it."


def test_a_table_of_volumes_beside_pictures_alone_is_not_theirs(
    blob_folder: Path, tmp_path
) -> None:
    shutil.copytree(blob_folder, tmp_path / "set")
    for name in ("stage_2_train.csv", "reads.csv", "hemorrhage_diagnosis_raw_ct.csv"):
        (tmp_path / "set" / name).write_text("a,b\n1,2\n")
    assert len(open_dataset(tmp_path / "set").slices) == 72


@pytest.mark.training
@pytest.mark.parametrize("write", [*OF_STUDIES, *OF_SLICES, made.dicom_by_file])
def test_a_model_is_trained_on_every_layout(write, tmp_path: Path) -> None:
    dataset = opened(write, tmp_path / "set")
    # Four patients are too few for the inner folds of a split by patient.
    split = paper_split(dataset, patient_groups(dataset), "logistic")
    recipe = recipe_named("logistic", "paper")
    card = train_bundle(dataset, split, recipe, tmp_path / "bundle", report=lambda _: None)
    assert card.counts["slices"] == len(dataset.slices)
    assert card.has_model


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("patient,slice\np1,1\n", "column label is missing"),
        ("name,label\np1,1\n", "needs a column patient, study or file"),
        ("patient,label\np1,yes\n", "expected 0 or 1"),
        ("patient,slice,label\np1,first,1\n", "not a number"),
        ("patient,label\nsomebody,1\n", "none of its 1 rows names"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(text: str, reason: str, tmp_path: Path) -> None:
    made.write(made.headers(1), tmp_path / "p1")
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DatasetError, match=reason):
        open_dataset(tmp_path)


def test_a_folder_without_labels_names_what_was_looked_for(tmp_path: Path) -> None:
    made.write(made.headers(1), tmp_path / "p1")
    assert not is_labelled_set(tmp_path)
    with pytest.raises(DatasetError) as raised:
        open_dataset(tmp_path)
    for name in ("labels.csv", "stage_2_train.csv", "reads.csv", "masks", "ct_scans", "NORMAL"):
        assert name in str(raised.value)
