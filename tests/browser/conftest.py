"""A running app and a browser, for all pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from app_server import ROOT, running_app

from hemodetect.dataset.cache import open_dataset
from hemodetect.evaluation.comparison import ComparedModel, Comparison, compared
from hemodetect.evaluation.comparison_file import write_comparison
from hemodetect.models.families import FAMILY_NAMES

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def cases(blob_folder: Path) -> Comparison:
    """Random predictions of five models for every slice of the blobs."""
    dataset = open_dataset(blob_folder)
    facts = dataset.slices[["patient", "slice", "label"]].assign(
        set=blob_folder.name, group=dataset.slices["patient"]
    )
    facts["fold"] = facts["patient"].astype("category").cat.codes % 3
    random = np.random.default_rng(5)
    predictions = {
        family: facts.assign(probability=random.random(len(facts)).astype(np.float32))
        for family in FAMILY_NAMES
    }
    models = [
        ComparedModel(
            family,
            family,
            "paper",
            f"paper-{family}",
            0.5,
            "as published",
            {blob_folder.name: "out-of-fold"},
        )
        for family in FAMILY_NAMES
    ]
    return compared(
        models, {blob_folder.name: dataset.fingerprint}, facts, predictions, "2026-11-24"
    )


@pytest.fixture(scope="session")
def address(
    blob_folder: Path, cases: Comparison, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of a running app with the released models and a comparison on the blobs."""
    artifacts = tmp_path_factory.mktemp("artifacts")
    for folder in ("networks", "paper-recipe", "published"):
        (artifacts / folder).symlink_to(ROOT / "artifacts" / folder)
    # A copy: a promotion in a test must not reach the models of the repository.
    shutil.copytree(ROOT / "artifacts" / "releases", artifacts / "releases")
    write_comparison(cases, artifacts / "comparisons" / "blobs.parquet")
    variables = {"HEMODETECT_ARTIFACTS": str(artifacts), "HEMODETECT_DATA": str(blob_folder.parent)}
    with running_app(variables) as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("HEMODETECT_REQUIRE_BROWSER"):
            pytest.fail("chromium is not installed (apt-get install chromium)")
        pytest.skip("chromium is not installed (apt-get install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        chromium_browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield chromium_browser
        chromium_browser.close()
