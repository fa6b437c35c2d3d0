"""How far a training or search is, as events in a file: one JSON object a line, oldest first.

A job sets the environment variable ``HEMODETECT_PROGRESS`` to the path of the file; without it
nothing is written. A run that is resumed appends to the same file. For example:

    {"at": "2026-11-24T10:00:00+00:00", "fold": 0, "folds": 5}
    {"at": "2026-11-24T10:00:09+00:00", "epoch": 1, "epochs": 50, "loss": 0.69, "val_loss": 0.68}
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

VARIABLE = "HEMODETECT_PROGRESS"
"""Environment variable with the path of the file."""
_COUNTS = ("fold", "folds", "epoch", "epochs", "trial", "trials")
_LOSSES = ("loss", "val_loss")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProgressEvent:
    """A change of the progress; None where the event does not change a value.

    Attributes:
        at: UTC.
        fold, folds: folds done, and all of them; the values below begin again with each fold.
        epoch, epochs: epochs done, and most of them.
        loss, val_loss: of the latest epoch, on the training and the validation slices.
        trial, trials: trials of a tuning done, and all of them.
    """

    at: datetime
    fold: int | None = None
    folds: int | None = None
    epoch: int | None = None
    epochs: int | None = None
    loss: float | None = None
    val_loss: float | None = None
    trial: int | None = None
    trials: int | None = None

    def values(self) -> dict[str, float]:
        """The values that the event changes, by name."""
        return {name: v for name, v in asdict(self).items() if name != "at" and v is not None}

    def followed_by(self, later: ProgressEvent) -> ProgressEvent:
        """The progress after this event and a later one."""
        if later.fold is not None:
            return later
        return replace(later, **{**self.values(), **later.values()})  # type: ignore[arg-type]


def report_progress(**values: float) -> None:
    """Appends an event with these values of `ProgressEvent` to the file of this run, if it has one.

    A full disk or a folder that is away does not end the training; the log has a warning.

    Raises:
        TypeError: a name is no field of `ProgressEvent`.
    """
    event = ProgressEvent(datetime.now(UTC), **values)  # type: ignore[arg-type]
    file = os.environ.get(VARIABLE)
    if not file:
        return
    line = json.dumps({"at": event.at.isoformat(), **event.values()}).encode() + b"\n"
    try:
        with Path(file).open("a+b") as stream:
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                if stream.read() != b"\n":  # a kill cut off the last line
                    line = b"\n" + line
            stream.write(line)
    except OSError as error:
        log.warning("%s: no progress can be written (%s)", file, error)


def read_events(file: Path) -> Iterator[ProgressEvent]:
    """The events in a file, oldest first; damaged or incomplete lines are left out.

    A file that does not exist or cannot be read has none.
    """
    try:
        lines = file.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            raw = json.loads(line)
            yield ProgressEvent(
                at=datetime.fromisoformat(raw["at"]),
                **{name: int(raw[name]) for name in _COUNTS if name in raw},
                **{name: float(raw[name]) for name in _LOSSES if name in raw},  # type: ignore[arg-type]
            )
        except (ValueError, KeyError, TypeError):
            continue
