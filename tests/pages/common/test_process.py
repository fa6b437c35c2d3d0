"""The app's process with models in it: what Streamlit does after every run of a page."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import keras
import pytest
from streamlit.runtime.scriptrunner.script_runner import _clean_problem_modules

from pages.common.process import settle, settle_models

SEEN = "hemodetect_test_state"


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Something that Keras keeps for a thread, as it does while a model predicts."""
    monkeypatch.setattr(keras.backend, "clear_session", keras.backend.clear_session)
    tracker = keras.src.backend.common.global_state
    kept = object()
    tracker.set_global_attribute(SEEN, kept)
    yield kept
    tracker.set_global_attribute(SEEN, None)
    gc.unfreeze()


def left() -> object:
    return keras.src.backend.common.global_state.get_global_attribute(SEEN)


def test_a_run_of_a_page_clears_nothing_that_a_prediction_is_using(state: object) -> None:
    settle_models()
    _clean_problem_modules()
    assert left() is state


def test_streamlit_would_clear_it_by_itself(state: object) -> None:
    # Where this fails, Streamlit has changed its mind and `settle_models` has one thing less to do.
    _clean_problem_modules()
    assert left() is None


class Model:
    """Refers to itself, so that only a collection ends it."""

    def __init__(self) -> None:
        self.own = self


def test_what_was_there_is_left_out_of_collections_until_it_is_looked_through_again(
    state: object,
) -> None:
    model = Model()
    gone = weakref.ref(model)
    settle_models()
    del model
    gc.collect()
    assert gone() is not None
    settle()
    assert gone() is None
