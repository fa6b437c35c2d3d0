"""What a grid search or the tuning of a network found, and its JSON file."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Self, get_args, get_origin, get_type_hints

from hemodetect.errors import HemodetectError
from hemodetect.evaluation.metrics import Metric
from hemodetect.storage.whole_file import whole_file

_JSON_KEYS = {"auroc": "worth", "pruned": "given_up"}
"""Key of a field in the file, where it has another name there."""


class SearchError(HemodetectError):
    """A search cannot be run, or its file cannot be read."""


class _JsonResult:
    """Reading and writing, common to the results below."""

    _noun: ClassVar[str]

    def write(self, path: Path) -> None:
        """Writes the result as JSON, whole or not at all."""
        with whole_file(path) as partial:
            partial.write_text(json.dumps(_to_json(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """The result that `write` wrote; raises `SearchError` where the file holds none."""
        try:
            return _from_json(cls, json.loads(path.read_text()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SearchError(f"{path}: holds no {cls._noun} ({error}); run it again.") from error


@dataclass(frozen=True)
class KernelSetting:
    """A setting of the SVM or the logistic regression.

    Attributes:
        kernel: "rbf", "poly" or "linear".
        penalty: C.
        gamma: in units of scikit-learn's "scale"; 1 where the kernel has none.
    """

    kernel: str
    penalty: float
    gamma: float = 1.0


@dataclass(frozen=True)
class GridPoint:
    """A setting with its AUROC by slice and by patient, over the test patients of all folds."""

    setting: KernelSetting
    auroc_slice: Metric
    auroc_patient: Metric


@dataclass(frozen=True)
class GridSearch(_JsonResult):
    """What a grid search found.

    Attributes:
        family: "svm" or "logistic".
        fingerprint: of the data set.
        grid: every setting.
        chosen: the setting that each fold's training patients chose, in the order of the folds.
        auroc_slice, auroc_patient: of the chosen settings' predictions on the test patients.
        fits: number of models fitted, inner folds included.
        seconds: duration.
    """

    _noun = "search"

    family: str
    fingerprint: str
    grid: tuple[GridPoint, ...]
    chosen: tuple[KernelSetting, ...]
    auroc_slice: Metric
    auroc_patient: Metric
    fits: int
    seconds: float


@dataclass(frozen=True)
class Trial:
    """A setting of a network that was tried in one fold.

    Attributes:
        fold: counted from 0.
        learning_rate, dropout, l2, depth: the setting.
        auroc: by slice, of the validation patients: at the epoch whose weights were used, or at the
            last epoch of a pruned trial; None where the loss became infinite in the first epoch.
        epochs: trained.
        pruned: stopped early, because it fell behind the trials before it.
    """

    fold: int
    learning_rate: float
    dropout: float
    l2: float
    depth: int
    auroc: float | None
    epochs: int
    pruned: bool


@dataclass(frozen=True)
class Tuning(_JsonResult):
    """What the tuning of a network found.

    Attributes:
        family, recipe: of the network.
        fingerprint: of the data set.
        epochs: most epochs of a trial.
        trials: in the order tried, fold by fold; the first of each fold is the published setting.
        chosen: index in `trials` of every fold's best trial.
        published_slice, published_patient: AUROC of the published setting on the test patients.
        tuned_slice, tuned_patient: AUROC of the chosen settings on the test patients.
        seconds: duration, over all runs.

    Raises:
        ValueError: an index in `chosen` is outside `trials`.
    """

    _noun = "tuning"

    family: str
    recipe: str
    fingerprint: str
    epochs: int
    trials: tuple[Trial, ...]
    chosen: tuple[int, ...]
    published_slice: Metric
    published_patient: Metric
    tuned_slice: Metric
    tuned_patient: Metric
    seconds: float

    def __post_init__(self) -> None:
        if not all(0 <= index < len(self.trials) for index in self.chosen):
            raise ValueError(
                f"chosen is {self.chosen}; expected indices of {len(self.trials)} trials"
            )


def _to_json(value: Any) -> Any:
    """Dataclasses as objects, tuples as lists."""
    if is_dataclass(value):
        return {_json_key(f.name): _to_json(getattr(value, f.name)) for f in fields(value)}
    return [_to_json(item) for item in value] if isinstance(value, tuple) else value


def _from_json(kind: Any, raw: Any) -> Any:
    """The value of type `kind` that `_to_json` gave as `raw`."""
    if hasattr(kind, "__dataclass_fields__"):
        hints = get_type_hints(kind)
        return kind(
            **{f.name: _from_json(hints[f.name], raw[_json_key(f.name)]) for f in fields(kind)}
        )
    if get_origin(kind) is tuple:
        return tuple(_from_json(get_args(kind)[0], item) for item in raw)
    if get_origin(kind) is UnionType:
        return None if raw is None else _from_json(get_args(kind)[0], raw)
    return kind(raw)


def _json_key(field_name: str) -> str:
    return _JSON_KEYS.get(field_name, field_name)
