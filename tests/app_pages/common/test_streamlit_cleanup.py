"""The loaded models and the cleanup that Streamlit does after every run of a page."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import keras
import pytest
from streamlit.runtime.scriptrunner.script_runner import _clean_problem_modules

from app_pages.common.loaded_models import _loaded
from app_pages.common.streamlit_cleanup import collect_and_freeze, spare_loaded_models

ATTRIBUTE = "hemodetect_test_state"


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Something that Keras keeps for a thread, as it does while a model predicts."""
    monkeypatch.setattr(keras.backend, "clear_session", keras.backend.clear_session)
    tracker = keras.src.backend.common.global_state
    value = object()
    tracker.set_global_attribute(ATTRIBUTE, value)
    yield value
    tracker.set_global_attribute(ATTRIBUTE, None)
    gc.unfreeze()


def state_in_keras() -> object:
    return keras.src.backend.common.global_state.get_global_attribute(ATTRIBUTE)


def test_a_run_of_a_page_clears_nothing_that_a_prediction_is_using(state: object) -> None:
    spare_loaded_models()
    _clean_problem_modules()
    assert state_in_keras() is state


def test_streamlit_clears_it_by_default(state: object) -> None:
    # Where this fails, Streamlit has changed and `spare_loaded_models` has one thing less to do.
    _clean_problem_modules()
    assert state_in_keras() is None


class Model:
    """Refers to itself, so that only a collection ends it."""

    def __init__(self) -> None:
        self.itself = self


def test_frozen_objects_are_collected_when_it_is_repeated(state: object) -> None:
    model = Model()
    reference = weakref.ref(model)
    spare_loaded_models()
    del model
    gc.collect()
    assert reference() is not None
    collect_and_freeze()
    assert reference() is None


def test_nothing_is_cleared_while_the_models_are_loaded(
    state: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_: object) -> object:
        _clean_problem_modules()  # the run of a page ends meanwhile
        return state_in_keras()

    monkeypatch.setattr("hemodetect.prediction.warm_up.load_warm", load)
    assert _loaded() is state
