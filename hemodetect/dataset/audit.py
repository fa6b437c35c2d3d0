"""Audit of a labelled data set, before a model is trained on it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.duplicates import SharedSlices
from hemodetect.dataset.encoding import read_encoding
from hemodetect.dataset.groups import PICTURES, Join, patient_grouping
from hemodetect.dataset.shortcuts import Shortcut, shortcuts
from hemodetect.imaging.study import RefusedFile

_LISTED = 12  # lines of one kind on the terminal; the JSON has them all


@dataclass(frozen=True)
class PatientFolder:
    """One patient's slices.

    Attributes:
        patient: its name in the data set.
        group: name of its patient group.
        slices: how many.
        hemorrhagic: how many of them have the label hemorrhage.
        series: prefixes of the file names; more than one where the folder mixes acquisitions.
        sizes: number of different sizes of its pictures.
        exif: number of its files with EXIF.
    """

    patient: str
    group: str
    slices: int
    hemorrhagic: int
    series: tuple[str, ...]
    sizes: int
    exif: int


@dataclass(frozen=True)
class ClassCount:
    """One class: its slices, and the patients and patient groups with at least one of them."""

    name: str
    slices: int
    patients: int
    groups: int


@dataclass(frozen=True)
class Audit:
    """Result of `audit`.

    Attributes:
        fingerprint: of the data set.
        slices, patients, groups: how many.
        classes: normal, then hemorrhage.
        folders: one entry a patient, in order.
        joins: pairs of folders that count as one person, with the reason.
        runners_up: the most similar pairs that do not.
        shared: folders with pictures in common.
        refused: files that cannot be decoded.
        shortcuts: how well labels can be predicted from properties that are not anatomy.
    """

    fingerprint: str
    slices: int
    patients: int
    groups: int
    classes: tuple[ClassCount, ...]
    folders: tuple[PatientFolder, ...]
    joins: tuple[Join, ...]
    runners_up: tuple[Join, ...]
    shared: tuple[SharedSlices, ...]
    refused: tuple[RefusedFile, ...]
    shortcuts: tuple[Shortcut, ...]

    def stops(self, folds: int) -> tuple[str, ...]:
        """Why a training by patient must not start: sentences that say what to do.

        Args:
            folds: of the split.
        """
        sentences = [
            f"The set has {count.groups} of the {folds} persons with the label {count.name} that"
            f" {folds} folds need; add patients, or choose fewer folds."
            for count in self.classes
            if count.groups < folds
        ]
        by_folder = all(folder.hemorrhagic in (0, folder.slices) for folder in self.folders)
        labels: dict[str, set[bool]] = {}
        for folder in self.folders:
            labels.setdefault(folder.group, set()).add(folder.hemorrhagic > 0)
        for group, both in labels.items():
            if by_folder and len(both) == 2:
                names = " and ".join(f.patient for f in self.folders if f.group == group)
                sentences.append(
                    f"{names} count as one person and have different labels; correct the label, or"
                    " remove one of the folders."
                )
        return tuple(sentences)

    def to_json(self) -> dict[str, Any]:
        """The same as nested dictionaries and lists."""
        return asdict(self)


def audit(dataset: Dataset) -> Audit:
    """Audits a data set; about half a minute for near-east on one core."""
    grouping = patient_grouping(dataset)
    folders = _folders(dataset, grouping.groups)
    return Audit(
        fingerprint=dataset.fingerprint,
        slices=len(dataset.slices),
        patients=len(folders),
        groups=len(set(grouping.groups.values())),
        classes=tuple(
            _class_count(name, label, dataset.slices, grouping.groups)
            for label, name in enumerate(("normal", "hemorrhage"))
        ),
        folders=folders,
        joins=grouping.joins,
        runners_up=grouping.runners_up,
        shared=grouping.shared,
        refused=dataset.refused,
        shortcuts=shortcuts(dataset, grouping.groups),
    )


def audit_text(result: Audit) -> str:
    """The audit as text for the terminal."""
    with_exif = [f for f in result.folders if f.exif]
    parts = [
        [
            f"{result.slices:,} slices, {result.patients} patient folders, {result.groups} patient"
            f" groups; data set {result.fingerprint}",
            *(
                f"  {c.name}: {c.slices:,} slices, {c.patients} folders, {c.groups} groups"
                for c in result.classes
            ),
        ],
        _section("Folders counted as one person", [_join_line(j) for j in result.joins]),
        _section(
            "Most similar pairs that are not joined",
            [_runner_up_line(j) for j in result.runners_up],
        ),
        _section("Pictures in two folders", [_shared_line(s) for s in result.shared]),
        _section(
            "Pictures of different sizes in one folder",
            [f"{f.patient}: {f.sizes} sizes" for f in result.folders if f.sizes > 1],
        ),
        _section(
            "Several series in one folder",
            [f"{f.patient}: {', '.join(f.series)}" for f in result.folders if len(f.series) > 1],
        ),
        _section("Files with EXIF", [f"{f.patient}: {f.exif} of {f.slices}" for f in with_exif]),
        _section("Refused files", [f"{r.file}: {r.reason}" for r in result.refused]),
        _section(
            "Shortcuts: labels predicted without anatomy (AUROC by patient, by slice; chance 0.5)",
            [f"{s.source}: {s.auroc_patient:.2f}, {s.auroc_slice:.2f}" for s in result.shortcuts]
            + [s.sentence for s in result.shortcuts if s.auroc_patient > s.chance_patient[1]]
            or ["not measured: fewer than two patients in a class"],
        ),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _folders(dataset: Dataset, groups: dict[str, str]) -> tuple[PatientFolder, ...]:
    folders = []
    for patient, of_patient in dataset.slices.groupby("patient", sort=False):
        exif = sum(read_encoding(dataset.root / file).exif for file in of_patient["file"])
        folders.append(
            PatientFolder(
                patient=str(patient),
                group=groups[str(patient)],
                slices=len(of_patient),
                hemorrhagic=int(of_patient["label"].sum()),
                series=tuple(of_patient["series"].unique()),
                sizes=len(of_patient[["rows", "columns"]].drop_duplicates()),
                exif=exif,
            )
        )
    return tuple(folders)


def _class_count(name: str, label: int, slices: pd.DataFrame, groups: dict[str, str]) -> ClassCount:
    """A patient with any hemorrhagic slice counts as hemorrhagic, as in a split."""
    of_patient = slices.groupby("patient")["label"].max()
    of_group = of_patient.groupby(of_patient.index.map(groups)).max()
    return ClassCount(
        name=name,
        slices=int((slices["label"] == label).sum()),
        patients=int((of_patient == label).sum()),
        groups=int((of_group == label).sum()),
    )


def _section(title: str, lines: list[str]) -> list[str]:
    if not lines:
        return []
    more = [f"and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
    return [title, *(f"  {line}" for line in [*lines[:_LISTED], *more])]


def _join_line(join: Join) -> str:
    first, second = join.patients
    if join.reason == PICTURES:
        return f"{first} and {second}: {join.score:g} pictures in common"
    return (
        f"{first} and {second}: proposed as one person, {join.reason}"
        f" (score {join.score:.2f}, threshold {join.threshold:g})"
    )


def _runner_up_line(join: Join) -> str:
    first, second = join.patients
    return f"{first} and {second}: {join.reason}, score {join.score:.2f} below {join.threshold:g}"


def _shared_line(shared: SharedSlices) -> str:
    first, second = shared.patients
    return (
        f"{first} and {second}: {shared.identical} identical and {shared.near} nearly, of"
        f" {shared.smaller}"
    )
