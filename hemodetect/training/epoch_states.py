"""The state of a training after each epoch, so that a kill at any moment costs at most one epoch.

A work folder holds ``history.csv`` (an epoch a row), ``epoch-<epochs done>.weights.h5`` (weights and
optimizer after the last epoch) and, where there is a validation loss, ``best-<epoch>.weights.h5``.
Each file is written under another name and renamed, in the order history, best, state: the state never
refers to something that does not exist. (Keras' `BackupAndRestore` writes weights and epoch in place: a
kill in between leaves a file that does not load, or an epoch number that is not the weights'.)
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from hemodetect.storage.whole_file import whole_file

EpochReport = Callable[[int, dict[str, float]], None]
"""Takes an epoch's number (from 0) and its figures."""
_HISTORY = "history.csv"
_HDF5_BYTES = 2 * 1024 * 1024  # what HDF5 adds to the arrays


class EpochStates:
    """The states of one training in its work folder."""

    def __init__(self, work: Path) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self._work = work

    @property
    def epochs_done(self) -> int:
        """Epochs that the saved state has behind it; 0 where there is none."""
        names = (file.name for file in self._work.iterdir())
        matches = [re.fullmatch(r"epoch-(\d+)\.weights\.h5", name) for name in names]
        return max((int(match[1]) for match in matches if match), default=0)

    def history(self) -> pd.DataFrame:
        """An epoch a row, with the column epoch; without rows before the first epoch."""
        path = self._work / _HISTORY
        if not path.is_file():
            return pd.DataFrame({"epoch": pd.Series(dtype=int)})
        return pd.read_csv(path)

    def past_figures(self) -> list[dict[str, float]]:
        """Figures of the epochs that the saved state has behind it, oldest first."""
        table = self.history().head(self.epochs_done).drop(columns="epoch")
        return [{str(k): float(v) for k, v in row.items()} for _, row in table.iterrows()]

    def best_epoch(self) -> int | None:
        """Epoch with the lowest validation loss; None where no epoch has a finite one."""
        history = self.history()
        losses = history.get("val_loss", pd.Series(dtype=float))
        finite = losses[np.isfinite(losses)]
        return None if finite.empty else int(history["epoch"][finite.idxmin()])

    def restore(self, model: keras.Model) -> None:
        """Puts the saved weights and optimizer state, if there are any, into a compiled model."""
        # Built here in any case: else TensorFlow traces the first step a second time, which takes
        # seconds.
        model.optimizer.build(model.trainable_variables)
        if self.epochs_done:
            model.load_weights(self._epoch_file(self.epochs_done))

    def load_best(self, model: keras.Model) -> None:
        """Puts the weights of the best epoch into a model."""
        model.load_weights(self._work / f"best-{self.best_epoch()}.weights.h5")

    def save(self, model: keras.Model, epoch: int, figures: dict[str, float]) -> None:
        """Keeps history and state after an epoch (from 0), and the best epoch where one is watched.

        Raises:
            OSError: no room (ENOSPC); found out before writing.
        """
        past = self.history().head(epoch)
        row = pd.DataFrame([{"epoch": epoch, **figures}])
        table = row if past.empty else pd.concat([past, row], ignore_index=True)
        with whole_file(self._work / _HISTORY) as partial:
            table.to_csv(partial, index=False)
        best = self.best_epoch()
        if best == epoch:
            self._write(model, self._best_file(epoch))
        self._write(model, self._epoch_file(epoch + 1))
        current = {self._epoch_file(epoch + 1)}
        if best is not None:
            current.add(self._best_file(best))
        for file in set(self._work.glob("*.weights.h5")) - current:
            file.unlink()

    def _epoch_file(self, done: int) -> Path:
        return self._work / f"epoch-{done}.weights.h5"

    def _best_file(self, epoch: int) -> Path:
        return self._work / f"best-{epoch}.weights.h5"

    def _write(self, model: keras.Model, file: Path) -> None:
        _check_room(model, self._work)
        with whole_file(file) as partial:
            model.save_weights(partial, overwrite=True)


class SaveEachEpoch(keras.callbacks.Callback):
    """Saves the state after each epoch, then reports it."""

    def __init__(
        self,
        states: EpochStates,
        report: EpochReport | None = None,
        not_in_history: Collection[str] = (),
    ) -> None:
        super().__init__()
        self._states, self._report, self._hidden = states, report, not_in_history

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Called by Keras after each epoch."""
        figures = {k: float(v) for k, v in (logs or {}).items() if k not in self._hidden}
        self._states.save(self.model, epoch, figures)
        if self._report:
            self._report(epoch, figures)


def _check_room(model: keras.Model, folder: Path) -> None:
    """Raises `OSError` (ENOSPC) where a state will not fit: on a full disk HDF5 ends the process by a
    segmentation fault, which says nothing.
    """
    variables = [*model.variables, *model.optimizer.variables]
    needed = sum(int(np.prod(v.shape)) * 4 for v in variables) + _HDF5_BYTES
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
