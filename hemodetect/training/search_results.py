"""What the tuning of a network found, and its file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hemodetect.evaluation.metrics import Metric
from hemodetect.storage.whole_file import whole_file
from hemodetect.training.grid_search import SearchError


@dataclass(frozen=True)
class Trial:
    """One setting tried in one fold.

    Attributes:
        fold: counted from 0.
        learning_rate, dropout, l2, depth: the setting.
        worth: AUROC by slice of the validation patients at the epoch kept, or at the last one where
            the trial was given up; None where the loss became infinite at once.
        epochs: trained.
        given_up: fell behind and was not trained to its end.
    """

    fold: int
    learning_rate: float
    dropout: float
    l2: float
    depth: int
    worth: float | None
    epochs: int
    given_up: bool


@dataclass(frozen=True)
class Tuning:
    """What a tuning found.

    Attributes:
        family, recipe: of the network.
        fingerprint: of the data set.
        epochs: most epochs of a trial.
        trials: in the order tried, fold by fold; the first of each fold is the published setting.
        chosen: index in `trials` of every fold's best.
        published_slice, published_patient: AUROC of the published setting on the test patients.
        tuned_slice, tuned_patient: of the chosen settings.
        seconds: taken, over all runs.
    """

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

    def write(self, path: Path) -> None:
        """Writes it as JSON, whole or not at all."""
        with whole_file(path) as partial:
            partial.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Tuning:
        """What `write` wrote; raises `SearchError` where the file holds something else."""
        try:
            raw: dict[str, Any] = json.loads(path.read_text())
            for level in ("published_slice", "published_patient", "tuned_slice", "tuned_patient"):
                raw[level] = Metric(*(float(raw[level][n]) for n in ("value", "low", "high")))
            raw["trials"] = tuple(Trial(**trial) for trial in raw["trials"])
            raw["chosen"] = tuple(int(index) for index in raw["chosen"])
            if not all(0 <= index < len(raw["trials"]) for index in raw["chosen"]):
                raise ValueError("a choice that was not tried")
            return cls(**raw)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SearchError(f"{path}: holds no tuning ({error}); run it again.") from error
