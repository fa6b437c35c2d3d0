"""A reader does not see the answers for a set before reading the patients of that set."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from hemodetect.evaluation.comparison import ComparedModel, compared
from hemodetect.evaluation.comparison_view import comparison_view
from hemodetect.reviews.session import Answer
from hemodetect.reviews.sessions import answer, create
from hemodetect.reviews.sources import OfSet
from hemodetect.storage.people import local_person

pytestmark = pytest.mark.usefixtures("database")


def page() -> None:
    """The cases that the model missed, as Ada sees them."""
    import streamlit as st

    from app_pages.compare.gallery import gallery

    gallery(st.session_state["view"], {"cnn": 0.5}, ("cnn", "fn"), lambda: None)


@pytest.fixture
def app() -> AppTest:
    slices = pd.DataFrame(
        {
            "set": "ours", "patient": ["p1", "p2"], "slice": ["a", "b"], "label": [1, 0],
            "group": ["p1", "p2"], "fold": [0, 1],
        }
    )  # fmt: skip
    predictions = slices.assign(probability=np.array([0.2, 0.3], np.float32))
    models = [
        ComparedModel("cnn", "cnn", "paper", "cnn-1", 0.5, "as published", {"ours": "out-of-fold"})
    ]
    comparison = compared(models, {"ours": "f"}, slices, {"cnn": predictions}, "2026-11-25")
    app_test = AppTest.from_function(page, default_timeout=60)
    app_test.session_state["view"] = comparison_view(comparison, "slice")
    app_test.session_state["person_name"] = "Ada"
    return app_test


def test_the_cases_of_a_set_are_shown_when_its_sessions_are_read(app: AppTest) -> None:
    session = create(
        local_person("Lena"), "Tuesday", [(OfSet("ours", "p1"), None)], ["Ada"], "models-at-once"
    )
    app.run()
    assert "You still have patients of this data set to read in “Tuesday”" in app.info[0].value
    assert not any("CNN 20%" in caption.value for caption in app.caption)
    answer(local_person("Ada"), session, 1, "shown", Answer("none", 3), 1.0)
    app.run()
    assert not app.info
    assert any("CNN 20%" in caption.value for caption in app.caption)


def test_a_person_who_reads_in_no_session_sees_them(app: AppTest) -> None:
    create(local_person("Lena"), "t", [(OfSet("ours", "p1"), None)], ["Bo"], "models-at-once")
    app.run()
    assert not app.info
    assert any("CNN 20%" in caption.value for caption in app.caption)
