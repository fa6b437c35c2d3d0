"""What a person may choose to train: three goals, and every field of the custom plan."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app_pages.train import device
from app_pages.train.data_set import labelled_sets
from hemodetect.dataset.audit import Audit
from hemodetect.settings import settings
from hemodetect.storage.people import Person
from hemodetect.training.jobs import control
from hemodetect.training.jobs.gpus import Gpu
from hemodetect.training.jobs.rows import Job, JobError
from hemodetect.training.plan import TrainingPlan

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
    page.session_state["train_goal"] = "Custom"
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
    assert page.text_input(key="train_epochs").placeholder == "16; search: 50"
    choose(page, ["cnn", "rnn"], "paper")
    assert page.text_input(key="train_epochs").placeholder == "50"
    assert page.text_input(key="train_depth").placeholder == "CNN 5, RNN 2"


def started(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> list[TrainingPlan]:
    """The plans that the button Train starts."""
    plans: list[TrainingPlan] = []

    def start(plan: TrainingPlan, who: Person) -> Job:
        plan.checked_recipe()
        plans.append(plan)
        raise JobError("kept for the test")

    monkeypatch.setattr(control, "start", start)
    page.text_input(key="train_name").set_value("Ada").run()
    page.button(key="train_start").click().run()
    assert not page.exception
    return plans


def test_reproducing_the_study_trains_its_recipe_to_the_last_epoch(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.session_state["train_goal"] = "Reproduce the study"
    page.session_state["train_goal_families_published"] = ["cnn"]
    page.run()
    assert "cannot be put into use" in " ".join(text.value for text in page.markdown)
    assert not page.text_input(key="train_name").disabled
    (plan,) = started(page, monkeypatch)
    assert (plan.recipe, plan.split, plan.stop_patience) == ("paper", "paper", 0)
    assert plan.checked_recipe().epochs == 50


def test_retraining_needs_the_sets_of_the_released_network(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page.run()
    assert not page.exception
    if any(button.key == "train_start" for button in page.button):  # they lie beside the repository
        page.session_state["train_goal_families_releases"] = ["svm"]
        (plan,) = started(page.run(), monkeypatch)
        assert plan.recipe == "study"
        assert plan.backbone_data.endswith("training.sets")
    else:
        assert "hemodetect train --data SET --model all" in page.info[0].value


def test_a_finding_of_the_audit_stops_the_training(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(page, ["svm"], "paper")
    assert not page.button(key="train_start").disabled
    monkeypatch.setattr(Audit, "stops", lambda self, folds: ("A and B count as one person.",))
    page.button(key="train_audit").click().run()
    assert not page.exception
    assert "count as one person" in page.error[0].value
    assert page.button(key="train_start").disabled
    assert page.button(key="train_search_start").disabled
    # The study's split does not know persons.
    choose(page, ["svm"], "paper", "paper")
    assert not page.button(key="train_start").disabled


def test_a_card_is_the_default_device(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    device._cards.clear()
    monkeypatch.setattr(device, "gpus", lambda: [Gpu("gpu:0", "Test 9000", 81920, 0, 0.0)])
    try:
        choose(page, ["cnn"], "paper")
        box = page.selectbox(key="train_device")
        assert box.value == "gpu:0"
        assert box.options == ["Test 9000, 80 GiB", "Processor"]
        assert "1 NVIDIA card was found" in box.help
    finally:
        device._cards.clear()


def test_without_a_card_the_page_says_why_it_takes_the_processor(page: AppTest) -> None:
    device._cards.clear()
    choose(page, ["cnn"], "paper")
    assert page.selectbox(key="train_device").value == "cpu"
    assert "No NVIDIA card was found" in page.selectbox(key="train_device").help
