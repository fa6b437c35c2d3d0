"""An epoch over cached arrays against pure compute, and against decoding files in every epoch.

    python benchmarks/input_speed.py ../shared/data/near-east

One run trains the same network on the same number of slices and batches in three ways, in turn. The
first round pays for compiling and does not count. The fastest of the other rounds counts:

- compute: batches that are ready in memory, so that the network never waits;
- ours: `AugmentedSlices` over the cache, shuffled and augmented in every epoch;
- files: Keras' directory loader over the JPEG files, with Keras' augmentation layers of the same kinds.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from hemodetect.dataset.cache import Dataset, open_dataset
from hemodetect.models.networks import BUILDERS
from hemodetect.models.recipes import NetworkRecipe, recipe_named
from hemodetect.training.network_training import AugmentedSlices


class Ready(keras.utils.PyDataset):
    """Batches computed in advance."""

    def __init__(self, slices: AugmentedSlices) -> None:
        super().__init__(workers=1)
        self._batches = [slices[number] for number in range(len(slices))]

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        return self._batches[number]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("data", type=Path)
    options.add_argument("--slices", type=int, default=640)
    options.add_argument("--rounds", type=int, default=3)
    families = ["cnn", "rnn", "attention_rnn"]
    options.add_argument("--families", nargs="+", default=families, choices=families)
    arguments = options.parse_args()
    dataset = open_dataset(arguments.data)
    rows = np.sort(np.random.default_rng(0).permutation(len(dataset.slices))[: arguments.slices])
    for family in arguments.families:
        recipe = recipe_named(family, "paper")
        assert isinstance(recipe, NetworkRecipe)
        least = _least(dataset, rows, recipe, arguments.rounds)
        print(
            f"{family}: {arguments.slices} slices an epoch, compute {least['compute']:.2f} s;"
            f" ours {least['ours'] / least['compute']:.2f} times that,"
            f" files {least['files'] / least['compute']:.2f} times;"
            f" files over ours {least['files'] / least['ours']:.2f}",
            flush=True,
        )


def _least(
    dataset: Dataset, rows: np.ndarray, recipe: NetworkRecipe, rounds: int
) -> dict[str, float]:
    """Seconds of the fastest epoch of each way."""
    network = BUILDERS[recipe.family](recipe)
    model = keras.Model(network.inputs, network.outputs[0])
    model.compile(
        keras.optimizers.Adam(recipe.learning_rate, clipnorm=1.0),
        "binary_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    grey, labels = np.ascontiguousarray(dataset.grey(recipe.size)[rows]), dataset.labels[rows]
    ours = AugmentedSlices(model, grey, labels, recipe, 0, 0)
    epoch_seconds: dict[str, list[float]] = {"compute": [], "ours": [], "files": []}
    with tempfile.TemporaryDirectory() as folder:
        ways = {
            "compute": Ready(ours),
            "ours": ours,
            "files": _files(dataset, rows, recipe, model.input_shape, folder),
        }
        for number in range(rounds + 1):
            for way, batches in ways.items():
                start = time.monotonic()
                model.fit(batches, epochs=1, verbose=0)
                if number:
                    epoch_seconds[way].append(time.monotonic() - start)
    return {way: min(seconds) for way, seconds in epoch_seconds.items()}


def _files(
    dataset: Dataset, rows: np.ndarray, recipe: NetworkRecipe, shape: tuple, folder: str
) -> object:
    """Batches of the same slices through Keras' loader."""
    for number, row in enumerate(rows):
        record = dataset.slices.iloc[row]
        place = Path(folder) / str(record["label"])
        place.mkdir(exist_ok=True)
        (place / f"{number}.jpg").symlink_to(dataset.root / record["file"])
    loaded = keras.utils.image_dataset_from_directory(
        folder,
        label_mode="binary",
        image_size=(recipe.size, recipe.size),
        batch_size=recipe.batch,
        color_mode="rgb" if len(shape) == 4 else "grayscale",
        verbose=False,
    )
    how = recipe.augmentation
    layers = keras.Sequential(
        [
            keras.layers.Rescaling(1 / 255),
            keras.layers.RandomTranslation(how.shift, how.shift, "nearest"),
            keras.layers.RandomRotation(how.rotation_degrees / 360, "nearest"),
            keras.layers.RandomZoom(how.zoom, fill_mode="nearest"),
            keras.layers.RandomShear(how.shear, how.shear, fill_mode="nearest"),
            keras.layers.RandomFlip("horizontal"),
        ]
    )

    def changed(images: object, labels: object) -> tuple[object, object]:
        augmented = layers(images, training=True)
        return (augmented if len(shape) == 4 else augmented[..., 0]), labels

    return loaded.map(changed).prefetch(2)


if __name__ == "__main__":
    main()
