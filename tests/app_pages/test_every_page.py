"""Every page of the router opens without an exception."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from hemodetect.evaluation.comparison import ComparedModel, Comparison, compared
from hemodetect.evaluation.comparison_file import write_comparison
from hemodetect.settings import settings

ROOT = Path(__file__).parents[2]
PAGES = re.findall(r'st\.Page\("(app_pages/[^"]+)"', (ROOT / "router.py").read_text())


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[AppTest]:
    """The app of this machine's user, without labelled sets and without loading a model."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")  # router.py sets it; monkeypatch restores it
    monkeypatch.setenv("HEMODETECT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("HEMODETECT_DATA", str(tmp_path))
    artifacts = tmp_path / "artifacts"
    write_comparison(_comparison(), artifacts / "comparisons" / "small.parquet")
    (artifacts / "releases").symlink_to(ROOT / "artifacts" / "releases")
    monkeypatch.setenv("HEMODETECT_ARTIFACTS", str(artifacts))
    monkeypatch.setattr("app_pages.common.loaded_models.warm_up", lambda: None)
    settings.cache_clear()
    yield AppTest.from_file(str(ROOT / "router.py"), default_timeout=60)
    settings.cache_clear()


def _comparison() -> Comparison:
    """The CNN's predictions for four slices of four patients."""
    slices = pd.DataFrame(
        {
            "set": "small", "patient": list("abcd"), "slice": list("1234"), "label": [1, 0, 1, 0],
            "group": list("abcd"), "fold": [0, 0, 1, 1],
        }
    )  # fmt: skip
    predictions = slices.assign(probability=np.array([0.2, 0.3, 0.8, 0.6], np.float32))
    model = ComparedModel(
        "cnn", "cnn", "paper", "cnn-1", 0.5, "as published", {"small": "out-of-fold"}
    )
    return compared([model], {"small": "f"}, slices, {"cnn": predictions}, "2026-11-25")


def test_every_page_file_is_in_the_router() -> None:
    files = {
        f"app_pages/{folder.name}/{folder.name}.py" for folder in (ROOT / "app_pages").iterdir()
    }
    assert {file for file in files if (ROOT / file).is_file()} == set(PAGES)
    assert not (ROOT / "pages").exists()  # Streamlit would take it for an app without a router


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_without_an_exception(app: AppTest, page: str) -> None:
    app.run().switch_page(page).run()
    assert not app.exception
    assert not app.error
    assert len(app.title) == 1
    assert "Research use only" in app.caption[0].value


@pytest.mark.parametrize(
    "script", sorted((ROOT / "app_pages").glob("*/*.py")), ids=lambda p: p.name
)
def test_no_text_of_the_code_stands_on_a_page(script: Path) -> None:
    """Streamlit writes a string that stands alone in a page's script onto the page."""
    if script.stem != script.parent.name:
        return
    _, *rest = ast.parse(script.read_text()).body
    alone = [
        node.lineno
        for node in rest
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]
    assert not alone
