"""Batches of whole series for the recurrent heads."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from hemodetect.models.recurrent_head import LONGEST, padded, series_stride
from hemodetect.training.head_training import HeadSeries


class SeriesBatches(keras.utils.PyDataset):
    """Series in either direction, at a random first slice of their stride.

    An epoch has each series of several slices once, and as many of the single slices, drawn anew.
    A slice's logit is trained where its label is known, a study's where the whole study is.
    """

    def __init__(
        self,
        training: Sequence[HeadSeries],
        features: Sequence[np.ndarray],
        batch: int,
        seed: int,
    ) -> None:
        super().__init__(workers=1)
        self._training, self._features, self._batch = training, features, batch
        self._seed, self._epoch = seed, 0
        lengths = np.array([len(values) for values in features])
        self._whole, self._single = np.flatnonzero(lengths > 1), np.flatnonzero(lengths == 1)
        self._count = len(self._whole) + min(len(self._whole), len(self._single))

    def __len__(self) -> int:
        return -(-self._count // self._batch)

    def on_epoch_end(self) -> None:
        """The next epoch has another order."""
        self._epoch += 1

    def __getitem__(self, step: int) -> tuple:
        of_epoch = np.random.default_rng((self._seed, self._epoch))
        singles = of_epoch.permutation(self._single)[: self._count - len(self._whole)]
        order = of_epoch.permutation(np.concatenate([self._whole, singles]))
        random = np.random.default_rng((self._seed, self._epoch, step))
        slices, masks, slice_labels, label_known = [], [], [], []
        study_labels, study_known = [], []
        for number in order[step * self._batch :][: self._batch]:
            series, features = self._training[number], self._features[number]
            stride = series_stride(len(features))
            rows = np.arange(random.integers(stride), len(features), stride)
            rows = rows[::-1] if random.random() < 0.5 else rows
            values, mask = padded(features[rows])
            slices.append(values)
            masks.append(mask)
            missing = (0, LONGEST - len(rows))
            slice_labels.append(np.pad(series.labels[rows], missing))
            label_known.append(np.pad(series.known[rows], missing))
            study_labels.append([series.label])
            study_known.append(series.is_study)
        targets = (
            np.array(slice_labels, np.float32)[..., None],
            np.array(study_labels, np.float32),
        )
        weights = (np.array(label_known, np.float32), np.array(study_known, np.float32))
        return (np.stack(slices), np.stack(masks)), targets, weights
