"""What all tests share: separate folders, and a small labelled set that is made here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
# Each of two workers for itself: threads of both on the same cores wait for each other.
os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
os.environ["TF_NUM_INTEROP_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
from PIL import Image

from hemodetect.settings import settings

pytest_plugins = ["databases", "pacs_peers"]

TESTS = Path(__file__).parent
LONGEST = ("training/jobs", "browser", "training", "models", "phantom", "dataset")
"""Folders whose files take longest, in the order in which they are started."""

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of training, and starts the longest folders first."""

    def turn(item: pytest.Item) -> int:
        folder = item.path.parent.relative_to(TESTS).as_posix()
        return LONGEST.index(folder) if folder in LONGEST else len(LONGEST)

    for item in items:
        if item.path.is_relative_to(TESTS / "training"):
            item.add_marker("training")
    items.sort(key=turn)


@pytest.fixture(autouse=True, scope="session")
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The tests use separate caches and keys, not those of the person who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CACHE", "STATE"):
            patch.setenv(f"HEMODETECT_{name}", str(tmp_path_factory.mktemp(name.lower())))
        settings.cache_clear()
        yield
    settings.cache_clear()


@pytest.fixture(scope="session")
def near_east() -> Path:
    """The near-east set; skips where it is absent."""
    return _real("near-east")


@pytest.fixture(scope="session")
def ge_head() -> Path:
    """The GE head series; skips where it is absent."""
    return _real("dicom-ge-head")


def _real(name: str) -> Path:
    folder = SHARED_DATA / name
    if not folder.is_dir():
        pytest.skip(f"the image set {name} is not beside the repository (shared/data)")
    return folder


@pytest.fixture(scope="session")
def blob_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 patients of 6 slices, laid out by class; hemorrhagic slices have a bright blob."""
    root = tmp_path_factory.mktemp("blobs")
    random = np.random.default_rng(7)
    for label, name in enumerate(("NORMAL", "Hemorrhagic")):
        for patient in range(6):
            folder = root / name / f"P{label}{patient}"
            folder.mkdir(parents=True)
            for number in range(6):
                image = random.integers(60, 110, (96, 96)).astype(np.uint8)
                if label:
                    row, column = random.integers(20, 60, 2)
                    image[row : row + 16, column : column + 16] = 230
                Image.fromarray(image).save(folder / f"{number + 1}.png")
    return root


@pytest.fixture(scope="module")
def uncompiled() -> Iterator[None]:
    """TensorFlow runs step by step: for a few small steps, compiling takes most of the time."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
