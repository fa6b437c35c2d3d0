"""The Models page: table, details, the way back to an earlier release, damage, record of changes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app_pages.common.text import plain
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.models.weight_files import BLOOD_NETWORK, SHARED, network_file
from hemodetect.registry.bundle import read_card
from hemodetect.registry.promotion import RELEASES, TRAIL, promote
from hemodetect.settings import settings
from hemodetect.storage.people import local_person

ROOT = Path(__file__).parents[3]


@pytest.fixture
def artifacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the releases, with a separate state folder."""
    folder = tmp_path / "artifacts"
    shutil.copytree(ROOT / "artifacts" / RELEASES, folder / RELEASES)
    shutil.copytree(ROOT / "artifacts" / SHARED, folder / SHARED)
    monkeypatch.setenv("HEMODETECT_ARTIFACTS", str(folder))
    monkeypatch.setenv("HEMODETECT_STATE", str(tmp_path / "state"))
    settings.cache_clear()
    yield folder
    settings.cache_clear()


def opened() -> AppTest:
    page = AppTest.from_file(str(ROOT / "app_pages/models/models.py"), default_timeout=60).run()
    assert not page.exception
    return page


def with_details(page: AppTest, family: str) -> AppTest:
    page.session_state["models_details"] = family
    return page.run()


def promote_another_svm(artifacts: Path) -> tuple[str, str]:
    """Puts a second SVM into use; the versions before and after."""
    release = artifacts / RELEASES / "svm"
    before = read_card(release).version
    bundle = artifacts.parent / "another"
    shutil.copytree(release, bundle)
    shutil.copyfile(network_file(release, BLOOD_NETWORK), bundle / BLOOD_NETWORK)
    raw = json.loads((bundle / "card.json").read_text())
    (bundle / "card.json").write_text(json.dumps(raw | {"created": "2026-11-25"}))
    promote(bundle, artifacts, who=local_person("ada"), why="a better threshold", check=read_card)
    return before, read_card(release).version


def test_one_table_lists_all_models_in_use(artifacts: Path) -> None:
    table = opened().dataframe[0].value
    assert list(table["", "Model"]) == list(FAMILY_NAMES.values())
    assert list(table["", "In use"]) == [
        read_card(artifacts / RELEASES / family).version for family in FAMILY_NAMES
    ]
    assert set(table["By patient", "Baseline"]) == {"60.0%"}


def test_the_details_have_every_figure_of_both_levels(artifacts: Path) -> None:
    card = read_card(artifacts / RELEASES / "rnn")
    table = with_details(opened(), "rnn").dataframe[1].value.set_index(("", "Figure"))
    for level in ("slice", "patient"):
        figures, scores = table["In use", f"By {level}"], card.metrics[level]
        assert figures["Number of slices or patients"] == f"{scores['n']:,}"
        assert figures["Majority-class baseline"] == f"{scores['majority_baseline']:.1%}"
        for name in ("Accuracy", "Balanced accuracy", "Sensitivity", "Specificity"):
            value = scores[name.lower().replace(" ", "_")]["value"]
            assert figures[name].startswith(f"{value:.1%} (")
        assert figures["AUROC"].startswith(f"{scores['auroc']['value']:.2f} (")


def test_an_earlier_release_stands_beside_the_one_in_use(artifacts: Path) -> None:
    before, _ = promote_another_svm(artifacts)
    page = with_details(opened(), "svm")
    groups = page.dataframe[1].value.columns.get_level_values(0)
    assert list(dict.fromkeys(groups)) == ["", "In use", before]
    facts = next(text.value for text in page.markdown if "Previous version" in text.value)
    assert f"Previous version: {plain(before)}" in facts


def test_an_earlier_release_can_be_used_again(artifacts: Path) -> None:
    before, after = promote_another_svm(artifacts)
    assert before != after
    page = opened()
    assert page.dataframe[0].value.loc[0, ("", "In use")] == after
    with_details(page, "svm")
    assert page.selectbox(key="models_version_svm").options == [before]
    page.text_input(key="models_who_svm").input("Ada")
    page.button(key="models_back_svm").click().run()
    assert "reason" in page.error[0].value
    page.text_input(key="models_why_svm").input("it was better")
    page.button(key="models_back_svm").click().run()
    assert not page.error
    assert read_card(artifacts / RELEASES / "svm").version == before
    assert page.selectbox(key="models_version_svm").options == [after]
    changes = page.table[0].value
    assert list(changes["Action"]) == ["rollback", "promote"]
    assert list(changes["Reason"]) == ["it was better", "a better threshold"]
    assert list(changes["Who"]) == ["Ada", "ada"]


def test_without_earlier_releases_none_is_offered(artifacts: Path) -> None:
    page = with_details(opened(), "cnn")
    assert not page.button
    assert any("No earlier release" in caption.value for caption in page.caption)


def test_a_damaged_bundle_gets_a_sentence_and_the_others_are_listed(artifacts: Path) -> None:
    (artifacts / RELEASES / "cnn" / "card.json").write_text("{")
    page = opened()
    table = page.dataframe[0].value
    assert list(table["", "In use"] == "none") == [family == "cnn" for family in FAMILY_NAMES]
    sentence = next(c.value for c in page.caption if "CNN: not in use" in c.value)
    assert str(artifacts) not in sentence
    with_details(page, "cnn")
    assert not page.exception


def test_a_changed_record_is_reported(artifacts: Path) -> None:
    promote_another_svm(artifacts)
    trail = artifacts / TRAIL
    trail.write_text(trail.read_text().replace("a better threshold", "no reason"))
    page = opened()
    assert "was changed" in page.error[0].value
