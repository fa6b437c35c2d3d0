"""Loaded bundles, ready to predict."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hemodetect.errors import BundleError
from hemodetect.imaging.study import Slice
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.models.interface import FittedModel, SeriesPrediction
from hemodetect.models.loading import load_model
from hemodetect.models.series_cache import SeriesCache
from hemodetect.preprocessing.model_input import model_input
from hemodetect.registry.bundle import Card, read_card
from hemodetect.registry.known_slices import KnownSlices
from hemodetect.registry.promotion import RELEASES, settle

log = logging.getLogger(__name__)

_READINGS = 3


@dataclass(frozen=True, eq=False)
class ReleasedModel:
    """A bundle's card and its model in memory, and the slices it was trained on, where known."""

    card: Card
    fitted: FittedModel
    known: KnownSlices | None = None

    def predict(self, series: Sequence[Slice]) -> SeriesPrediction:
        """Probabilities for the slices of one series, in order; a single slice is a series of one."""
        return self.predict_inputs(model_input(series, self.fitted.size))

    def predict_inputs(
        self, grey: np.ndarray, cache: SeriesCache | None = None
    ) -> SeriesPrediction:
        """The same from (n, size, size) uint8, where several models share one input and cache.

        Raises:
            BundleError: a probability is not a number.
        """
        prediction = self.fitted.predict(grey, cache)
        # Not a number is below every threshold and would pass for "no hemorrhage".
        if not (np.isfinite(prediction.slices).all() and np.isfinite(prediction.patient)):
            raise BundleError(
                f"{FAMILY_NAMES[self.card.family]} {self.card.version}: gave a probability that is"
                " not a number; the bundle is unfit for use, replace it."
            )
        return prediction


@dataclass(frozen=True, eq=False)
class Releases:
    """The models in use, and in one sentence each, why a family has none."""

    models: dict[str, ReleasedModel]
    missing: dict[str, str]


def load_bundle(folder: Path) -> ReleasedModel:
    """The model in `folder`; raises `BundleError` where it is missing, altered or unreadable.

    A promotion may exchange the folder while it is read. What was read is kept only if the files
    afterwards are those of the card that was read before.
    """
    for _ in range(_READINGS):
        model = _read_bundle(folder)
        if read_card(folder).files == model.card.files:
            return model
    raise BundleError(f"{folder}: changed each time it was read; try again.")


def _read_bundle(folder: Path) -> ReleasedModel:
    card = read_card(folder)
    if not card.has_model:
        raise BundleError(
            f"{folder}: holds figures but no model"
            + (", because those of a paper split leak." if card.split == "paper" else ".")
        )
    try:
        fitted = load_model(folder, card.recipe_settings)
        model = ReleasedModel(card, fitted, KnownSlices.of(folder, card))
        # Asked once: a file may be loadable and of the wrong shape all the same.
        model.predict([disc_slice()])
    except BundleError:
        raise
    except Exception as error:
        raise BundleError(
            f"{folder}: its model cannot be used ({type(error).__name__}); get the bundle again."
        ) from error
    return model


def disc_slice() -> Slice:
    """A slice to try a model on. A disc passes for a head; without one, some networks are not asked."""
    rows, columns = np.mgrid[-64:64, -64:64]
    disc = np.where(np.hypot(rows, columns) < 45, 100, 0).astype(np.uint8)
    return Slice(disc, "grey", "disc")


def load_releases(artifacts: Path) -> Releases:
    """Every family's release under `artifacts`; one that cannot be loaded does not stop the others."""
    try:
        settle(artifacts)
    except (BundleError, OSError) as error:
        log.warning("a promotion that was cut off cannot be finished: %s", error)
    models, missing = {}, {}
    for family in FAMILY_NAMES:
        try:
            models[family] = load_bundle(artifacts / RELEASES / family)
        except BundleError as error:
            missing[family] = str(error)
    return Releases(models, missing)
