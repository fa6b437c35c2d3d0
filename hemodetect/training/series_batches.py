"""Batches of whole series for the recurrent heads."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from hemodetect.models.recurrent_head import LONGEST, padded, series_stride
from hemodetect.training.head_training import HeadSeries


class SeriesBatches(keras.utils.PyDataset):
    """Each series once an epoch, in either direction, at a random first slice of its stride.

    A slice's own logit is trained where its label is known: everywhere in a series labelled by slice,
    and in series without a hemorrhage.
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

    def __len__(self) -> int:
        return -(-len(self._training) // self._batch)

    def on_epoch_end(self) -> None:
        """The next epoch has another order."""
        self._epoch += 1

    def __getitem__(self, step: int) -> tuple:
        order = np.random.default_rng((self._seed, self._epoch)).permutation(len(self._training))
        random = np.random.default_rng((self._seed, self._epoch, step))
        slices, masks, slice_labels, label_known, study_labels = [], [], [], [], []
        for number in order[step * self._batch :][: self._batch]:
            series, features = self._training[number], self._features[number]
            stride = series_stride(len(features))
            rows = np.arange(random.integers(stride), len(features), stride)
            rows = rows[::-1] if random.random() < 0.5 else rows
            values, mask = padded(features[rows])
            slices.append(values)
            masks.append(mask)
            slice_labels.append(np.pad(series.labels[rows], (0, LONGEST - len(rows))))
            label_known.append(mask * (series.slice_labels or series.label == 0))
            study_labels.append([series.label])
        targets = (
            np.array(slice_labels, np.float32)[..., None],
            np.array(study_labels, np.float32),
        )
        weights = (np.array(label_known, np.float32), np.ones(len(study_labels), np.float32))
        return (np.stack(slices), np.stack(masks)), targets, weights
