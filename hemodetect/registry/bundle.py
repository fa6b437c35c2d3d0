"""The folder of one trained model: card, weights, out-of-fold predictions, history.

A bundle is written under a temporary name and renamed, so it is there whole or not at all. Its card
lists the SHA-256 of every other file, and reading checks them before anything is loaded.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hemodetect.errors import BundleError
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.models.recipes import Recipe, UnknownRecipe, recipe_named
from hemodetect.models.weight_files import shared_file
from hemodetect.storage.digests import file_sha256
from hemodetect.storage.whole_file import whole_folder

CARD = "card.json"
PREDICTIONS = "predictions.parquet"
HISTORY = "history.csv"
SPLIT = "split.json"
BACKBONE_PREDICTIONS = "backbone-predictions.parquet"
BACKBONE_SPLIT = "backbone-split.json"
"""Out-of-fold on the set that the model's backbone was trained on, where it has one."""
AUROC = "auroc"
"""In a history: by slice, after each epoch; with the prefix val_ of the validation slices."""
COUNTS = ("true_negatives", "false_positives", "false_negatives", "true_positives")
"""In a history with the prefix val_: calls on the validation slices after each epoch."""
FORMAT = 2
_FORMAT_WITH_TEACHER = 1  # the backbone was called teacher
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Card:
    """What is known about a bundle.

    Attributes:
        family, recipe: their keys.
        split: "patient" or "paper"; the predictions and metrics were made under it.
        fingerprint: of the data set.
        counts: slices, patients, patient groups of the data set.
        seed, epochs: as trained; epochs None where the family has none.
        threshold: operating point; a slice or patient at or above it is called hemorrhage.
        threshold_reason: why that one.
        metrics: "slice" and "patient", each the figures of `hemodetect.evaluation.Scores`.
        seconds: training time by fold name; "all" is the training of the weights in the bundle.
        versions: of Python and the libraries that trained it.
        commit: of the code.
        created: day it was made, ISO 8601.
        remarks: sentences a user of the bundle should know.
        files: SHA-256 of every other file of the bundle, by name.
        backbone_fingerprint: of the data set that the model's backbone was trained on.
        changed: settings of the recipe that it was trained with other values of, by name.
        cannot_tell: range of patient probabilities that leave both answers open, or neither, at 90 %
            confidence; None where it was not worked out.
        backbone_parts: fingerprints of the sets that were joined for the backbone, by name.
        slice_threshold: operating point of single slices; None where it is `threshold`.
        pointing: how often its heat maps point at a bleed, see `training.pointing`, by name of the set.
    """

    family: str
    recipe: str
    split: str
    fingerprint: str
    counts: dict[str, int]
    seed: int
    epochs: int | None
    threshold: float
    threshold_reason: str
    metrics: dict[str, Any]
    seconds: dict[str, float]
    versions: dict[str, str]
    commit: str
    created: str
    remarks: tuple[str, ...]
    files: dict[str, str]
    backbone_fingerprint: str | None = None
    cannot_tell: tuple[float, float] | None = None
    changed: dict[str, float | str] = field(default_factory=dict)
    backbone_parts: dict[str, str] = field(default_factory=dict)
    slice_threshold: float | None = None
    pointing: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Short name of exactly these files, e.g. ``paper-2026-11-24-1f2e3d``."""
        digest = hashlib.sha256(json.dumps(self.files, sort_keys=True).encode()).hexdigest()
        return f"{self.recipe}-{self.created}-{digest[:6]}"

    def points_at_bleeds(self, method: str) -> tuple[int, int] | None:
        """Slices in which the maximum of a heat map lies in a box around a bleed, and slices with one;
        None where that was not measured.
        """
        sets = [figures for figures in self.pointing.values() if method in figures["hits"]]
        if not sets:
            return None
        return sum(s["hits"][method] for s in sets), sum(s["slices"] for s in sets)

    @property
    def has_model(self) -> bool:
        """Whether the bundle holds weights; one of figures alone does not."""
        return any(name.endswith((".keras", ".skops")) for name in self.files)

    @property
    def backbone_predictions(self) -> str | None:
        """Name of the out-of-fold predictions on the backbone's set; None without a backbone."""
        return self._first_file(BACKBONE_PREDICTIONS, "teacher-predictions.parquet")

    @property
    def backbone_split(self) -> str | None:
        """Name of the split of the backbone's set; None without a backbone."""
        return self._first_file(BACKBONE_SPLIT, "teacher-split.json")

    def _first_file(self, *names: str) -> str | None:
        return next((name for name in names if name in self.files), None)

    @property
    def recipe_settings(self) -> Recipe:
        """The recipe with the values it was trained with; raises `UnknownRecipe`."""
        changed: dict[str, Any] = dict(self.changed)
        return replace(recipe_named(self.family, self.recipe), **changed)


def write_bundle(
    folder: Path, fill: Callable[[Path], None], card: Callable[[dict[str, str]], Card]
) -> Card:
    """Writes a bundle whole or not at all.

    Args:
        folder: of the bundle; must not exist yet.
        fill: writes every file but the card into the folder it is given.
        card: makes the card from the files' SHA-256.

    Raises:
        BundleError: `folder` exists.
    """
    if folder.exists():
        raise BundleError(f"{folder}: exists already; choose another folder or remove it.")
    with whole_folder(folder) as partial:
        fill(partial)
        written = card({file.name: file_sha256(file) for file in sorted(partial.iterdir())})
        text = json.dumps({"format": FORMAT, **asdict(written)}, indent=1, ensure_ascii=False)
        (partial / CARD).write_text(text + "\n")
    return written


def read_card(folder: Path) -> Card:
    """The card of a bundle whose files are all there and unaltered.

    Raises:
        BundleError: missing, not a bundle, of another format, or altered; says which file.
    """
    path = folder / CARD
    if not path.is_file():
        raise BundleError(f"{folder}: no bundle here ({CARD} is missing).")
    try:
        raw = json.loads(path.read_text())
        version = raw.pop("format")
        if version == _FORMAT_WITH_TEACHER:
            raw["backbone_fingerprint"] = raw.pop("teacher_fingerprint", None)
        limits = raw.get("cannot_tell")
        cannot_tell = None if limits is None else (float(limits[0]), float(limits[1]))
        card = Card(**{**raw, "remarks": tuple(raw["remarks"]), "cannot_tell": cannot_tell})
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise BundleError(f"{path}: not a card of a bundle ({error}).") from error
    if version not in (_FORMAT_WITH_TEACHER, FORMAT):
        raise BundleError(f"{path}: format {version}, this program reads format {FORMAT}.")
    if card.family not in FAMILY_NAMES:
        raise BundleError(f"{path}: unknown family {card.family!r}.")
    try:
        _ = card.recipe_settings
    except (UnknownRecipe, TypeError) as error:
        raise BundleError(f"{path}: {error}") from error
    # The version is made of it, and names a folder.
    if not isinstance(card.created, str) or not _DAY.fullmatch(card.created):
        raise BundleError(f"{path}: made on {card.created!r}, expected a day such as 2026-11-24.")
    if not isinstance(card.files, dict):
        raise BundleError(f"{path}: lists no files with their SHA-256.")
    if not isinstance(card.threshold, float) or not 0 <= card.threshold <= 1:
        raise BundleError(f"{path}: threshold is {card.threshold!r}, expected 0 to 1.")
    try:
        _ = card.points_at_bleeds("")
    except (AttributeError, KeyError, TypeError) as error:
        raise BundleError(f"{path}: its figures of pointing cannot be read ({error}).") from error
    own = card.slice_threshold
    if own is not None and not (isinstance(own, float) and 0 <= own <= 1):
        raise BundleError(f"{path}: threshold of slices is {own!r}, expected 0 to 1.")
    _check_files(folder, card.files)
    return card


def _check_files(folder: Path, files: dict[str, str]) -> None:
    for name, expected in files.items():
        # A card is input too: a name with a folder in it would reach outside the bundle.
        if not _PLAIN_NAME.fullmatch(name):
            raise BundleError(f"{folder / CARD}: lists {name!r}, which is not a plain file name.")
        path = folder / name
        if not path.exists():
            path = shared_file(folder, str(expected)) or path
        if path.is_symlink() or not path.is_file():
            raise BundleError(f"{path}: missing; the bundle is incomplete, get it again.")
        if file_sha256(path) != expected:
            raise BundleError(
                f"{path}: its SHA-256 is not the one in {CARD}; the file was altered or damaged,"
                " get the bundle again."
            )
