"""What the models' being in the app's process asks of it."""

from __future__ import annotations

import gc

import keras


def settle_models() -> None:
    """Spares the loaded models what Streamlit does after every run of a page.

    It clears Keras and collects garbage twice over TensorFlow's half a million objects: 0.55 s after
    each turn of a slice, measured, and one reader's run throws away the kernels and the naming state
    that another's prediction is using at that moment. Models are loaded once here and belong to
    nobody's run, so there is nothing to clear; what is there by now is left out of collections.
    """
    setattr(keras.backend, "clear_session", _nothing)  # noqa: B010 - Streamlit looks it up there
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _nothing() -> None:
    """In the place of `keras.backend.clear_session`, of which Streamlit asks nothing back."""
