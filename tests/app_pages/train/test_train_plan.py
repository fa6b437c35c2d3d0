"""The fields of a plan: each shows the value that is used, or is disabled."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app_pages.train.data_set import labelled_sets
from hemodetect.settings import settings

ROOT = Path(__file__).parents[3]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, blob_folder: Path) -> Iterator[AppTest]:
    """The Train page with one labelled set."""
    shutil.copytree(blob_folder, tmp_path / "data" / "blobs")
    monkeypatch.setenv("HEMODETECT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HEMODETECT_STATE", str(tmp_path / "state"))
    settings.cache_clear()
    labelled_sets.clear()
    yield AppTest.from_file(str(ROOT / "app_pages/train/train.py"), default_timeout=60)
    settings.cache_clear()
    labelled_sets.clear()


def choose(page: AppTest, families: list[str], recipe: str, split: str = "patient") -> None:
    page.session_state["train_families"] = families
    page.session_state["train_recipe"] = recipe
    page.session_state["train_split"] = split
    page.run()
    assert not page.exception


def disabled(page: AppTest) -> set[str]:
    return {str(field.key).removeprefix("train_") for field in page.text_input if field.disabled}


def test_settings_that_nothing_uses_are_disabled(page: AppTest) -> None:
    network_settings = {
        "epochs", "batch", "learning_rate", "dropout", "l2", "depth", "stop_patience", "trials"
    }  # fmt: skip
    choose(page, ["svm"], "paper")
    assert disabled(page) == network_settings
    choose(page, ["svm"], "paper", "paper")
    assert disabled(page) == network_settings | {"folds"}
    choose(page, ["cnn"], "paper")
    assert disabled(page) == set()


def test_a_setting_that_only_a_search_uses_shows_the_value_of_the_search(page: AppTest) -> None:
    choose(page, ["cnn"], "study")
    assert disabled(page) == {"learning_rate", "dropout", "l2", "depth", "stop_patience"}
    assert page.text_input(key="train_epochs").placeholder == "search: 50"
    assert page.text_input(key="train_batch").placeholder == "search: 32"


def test_different_values_of_training_and_search_are_both_shown(page: AppTest) -> None:
    choose(page, ["cnn"], "blood")
    assert page.text_input(key="train_epochs").placeholder == "8; search: 50"
    choose(page, ["cnn", "rnn"], "paper")
    assert page.text_input(key="train_epochs").placeholder == "50"
    assert page.text_input(key="train_depth").placeholder == "CNN 5, RNN 2"
