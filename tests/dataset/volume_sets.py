"""Phantoms written as labelled sets, in the layouts of their downloads, with their known traps."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from hemodetect.dataset.slice_tables import SUBTYPES
from hemodetect.phantom.bleeds import Bleed
from hemodetect.phantom.files import dicom_files
from hemodetect.phantom.head import Phantom, head_phantom

SLICES = 14
KIND = {"intraparenchymal": "Intraparenchymal", "subdural": "Subdural"}


@cache
def heads() -> dict[int, Phantom]:
    """Four heads by number: 1 and 3 without a bleed, 2 and 4 with one."""
    bleeds = {1: [], 2: [Bleed("intraparenchymal", 30)], 3: [], 4: [Bleed("subdural", 40)]}
    return {
        number: head_phantom(of_head, slices=SLICES, size=128, pixel_spacing_mm=1.8, seed=number)
        for number, of_head in bleeds.items()
    }


def kind_of(number: int) -> str | None:
    """Kind of the bleed of a head, as tables call it."""
    bleeds = heads()[number].bleeds
    return KIND[bleeds[0].kind] if bleeds else None


def headers(number: int, series: int = 1) -> list[Dataset]:
    """DICOM files of a head, base to vertex, of a patient and series of their own."""
    files = []
    for _, data in dicom_files(heads()[number], seed=number):
        file = dcmread(io.BytesIO(data))
        file.PatientID = f"ID_{number:08x}"
        file.SeriesInstanceUID = generate_uid(entropy_srcs=[f"series {number} {series}"])
        file.SOPInstanceUID = generate_uid(entropy_srcs=[file.SOPInstanceUID, str(series)])
        file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID
        files.append(file)
    return files


def write(files: Iterable[Dataset], folder: Path, names: Sequence[str] = ()) -> None:
    """DICOM files under names, or numbered."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, file in enumerate(files):
        name = names[place] if names else f"IM{place:04d}"
        file.save_as(folder / name, enforce_file_format=True)


def table(path: Path, rows: Sequence[dict[str, object]]) -> None:
    """A table of labels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def nifti(values: np.ndarray, phantom: Phantom, path: Path) -> None:
    """(slices, rows, columns) as a volume in NIfTI's own directions: right, front, head."""
    step, row, column = phantom.spacing_mm
    path.parent.mkdir(parents=True, exist_ok=True)
    volume = values.transpose(2, 1, 0)[::-1, ::-1]
    affine = np.diag([column, row, step, 1.0])
    affine[:2, 3] = -60.0
    nibabel.Nifti1Image(np.ascontiguousarray(volume), affine).to_filename(path)


def dicom_by_patient(root: Path) -> None:
    """A folder of DICOM files without suffix a patient, and a row a patient."""
    for number in heads():
        write(headers(number), root / "scans" / f"Doe Jane {number}" / "CT head")
    rows = [{"patient": f"Doe Jane {n}", "label": int(kind_of(n) is not None)} for n in heads()]
    table(root / "labels.csv", [*rows, {"patient": "not here", "label": 1}])


def dicom_by_file(root: Path) -> None:
    """A row a file, with kinds; one file has none and is left out."""
    rows: list[dict[str, object]] = []
    for number, head in heads().items():
        names = [f"{number}_{place}.dcm" for place in range(SLICES)]
        write(headers(number), root / str(number), names)
        for name, bleeds in zip(names[1:], head.slice_labels[1:], strict=True):
            kinds = {kind.lower(): int(bleeds and kind == kind_of(number)) for kind in SUBTYPES}
            rows.append({"file": f"{number}/{name}", "label": int(bleeds), **kinds})
    table(root / "labels.csv", rows)


def dicom_by_number(root: Path) -> None:
    """A row a slice, by patient and instance number, which counts from the vertex down."""
    rows = []
    for number, head in heads().items():
        files = headers(number)
        write(files, root / f"p{number}")
        rows += [
            {"patient": f"p{number}", "slice": int(file.InstanceNumber), "label": int(bleeds)}
            for file, bleeds in zip(files, head.slice_labels, strict=True)
        ]
    table(root / "labels.csv", rows)


def nifti_by_study(root: Path) -> None:
    """A volume a patient, and a row a volume."""
    for number, head in heads().items():
        nifti(head.hu, head, root / "volumes" / f"scan{number}.nii.gz")
    rows = [{"study": f"scan{n}", "label": int(kind_of(n) is not None)} for n in heads()]
    table(root / "labels.csv", rows)


def ct_ich(root: Path) -> None:
    """CT-ICH's NIfTI release; patient 3 has no mask file."""
    rows = []
    for number, head in heads().items():
        nifti(head.hu, head, root / "ct_scans" / f"{number:03}.nii")
        if number != 3:
            mask = head.bleed_mask.astype(np.uint8) * 255
            nifti(mask, head, root / "masks" / f"{number:03}.nii")
        for place, bleeds in enumerate(head.slice_labels, start=1):
            kinds = {kind: int(bleeds and kind == kind_of(number)) for kind in SUBTYPES}
            rows.append(
                {"PatientNumber": number, "SliceNumber": place, **kinds}
                | {"No_Hemorrhage": int(not bleeds), "Fracture_Yes_No": 0}
            )
    table(root / "hemorrhage_diagnosis_raw_ct.csv", rows)


def masks(root: Path) -> None:
    """BHSD's folders; one volume has no mask and is left out."""
    for number, head in heads().items():
        nifti(head.hu, head, root / "images" / f"ID_{number}.nii.gz")
        kinds = head.bleed_mask.astype(np.uint8) * 4
        nifti(kinds, head, root / "ground truths" / f"ID_{number}.nii.gz")
    nifti(heads()[1].hu, heads()[1], root / "images" / "ID_9.nii.gz")


def masks_beside(root: Path) -> None:
    """Masks beside the volumes."""
    for number, head in heads().items():
        nifti(head.hu, head, root / str(number) / f"{number}.nii.gz")
        mask = head.bleed_mask.astype(np.uint8)
        nifti(mask, head, root / str(number) / f"{number}_seg.nii.gz")


def rsna(root: Path) -> None:
    """RSNA 2019: files in one folder under random names, six rows a slice of which some stand twice, a
    row without a file, and a patient whose pixels are wrapped at 12 bits.
    """
    random = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    for number, head in heads().items():
        files = headers(number)
        names = [f"ID_{value:09x}" for value in random.integers(0, 16**9, SLICES)]
        if number == 2:
            for file in files:
                wrap_at_12_bits(file)
        write(files, root / "stage_2_train", [f"{name}.dcm" for name in names])
        for name, bleeds in zip(names, head.slice_labels, strict=True):
            for kind in (*SUBTYPES, "any"):
                is_one = bleeds and kind in ("any", kind_of(number))
                rows.append({"ID": f"{name}_{kind.lower()}", "Label": int(is_one)})
    rows += [*rows[:6], {"ID": "ID_000000000_any", "Label": 0}]
    table(root / "stage_2_train.csv", rows)


def wrap_at_12_bits(file: Dataset) -> None:
    """HU modulo 4096 with an intercept of 0."""
    stored = np.frombuffer(file.PixelData, "<u2").astype(np.int32)
    file.PixelData = ((stored - 1024) % 4096).astype("<u2").tobytes()
    file.RescaleIntercept = "0"
    file.BitsStored, file.HighBit = 12, 11


def cq500(root: Path) -> None:
    """CQ500: several series a patient, of which one is cut short, and three readers who differ."""
    rows: list[dict[str, object]] = []
    for number in heads():
        folder = root / f"CQ500CT{number} CQ500CT{number}" / "Unknown Study"
        write(headers(number), folder / "CT Plain", [f"CT{i:06}.dcm" for i in range(SLICES)])
        write(headers(number, 2)[:3], folder / "CT 4cc", [f"CT{i:06}.dcm" for i in range(3)])
        votes = (1, 1, 0) if kind_of(number) else (0, 1, 0)
        reads = {f"R{reader}:ICH": vote for reader, vote in enumerate(votes, start=1)}
        rows.append({"name": f"CQ500-CT-{number}", "Category": "B1", **reads})
    table(root / "reads.csv", rows)


def classes(root: Path) -> None:
    """A folder a class: a folder of DICOM files, or a volume, a patient."""
    for number, head in heads().items():
        folder = root / ("Hemorrhagic" if kind_of(number) else "NORMAL")
        if number < 3:
            write(headers(number), folder / f"P{number}")
        else:
            nifti(head.hu, head, folder / f"P{number}.nii.gz")
