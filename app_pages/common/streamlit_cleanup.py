"""Keeps the loaded models out of the cleanup that Streamlit does after every run of a page."""

from __future__ import annotations

import gc
import threading
import time
from functools import cache

import keras

REPEAT_SECONDS = 600.0


def spare_loaded_models() -> None:
    """Keeps Streamlit from clearing Keras and from collecting the models' objects after each run.

    By default Streamlit clears Keras and collects garbage twice over TensorFlow's half a million
    objects: 0.55 s after each slice change (measured). One reader's run also drops the kernels and
    names that another reader's prediction is using at that moment. The models are loaded once and no
    run owns them, so there is nothing to clear; the objects that exist now are frozen, which leaves
    them out of collections.

    Some frozen objects may belong to a session that is open now, with its study. They are collected
    every `REPEAT_SECONDS`, so that no image stays in memory longer than that after its session.
    """
    never_clear_keras()
    collect_and_freeze()
    _start_repeating()


def never_clear_keras() -> None:
    """Keeps Streamlit from clearing Keras; called before the first model is loaded.

    A run of a page that ended while the models were being loaded dropped the names that Keras had
    given: layers got the same name twice, and a model was missing until the app was started again.
    """
    setattr(keras.backend, "clear_session", _do_nothing)  # noqa: B010 - Streamlit calls it by name


def collect_and_freeze() -> None:
    """Collects unreferenced objects, and leaves the others out of further collections."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


@cache
def _start_repeating() -> None:
    """Starts the thread; once per process."""
    threading.Thread(target=_repeat, name="collect-and-freeze", daemon=True).start()


def _repeat() -> None:
    while True:
        time.sleep(REPEAT_SECONDS)
        collect_and_freeze()


def _do_nothing() -> None:
    """Replaces `keras.backend.clear_session`; Streamlit ignores its return value."""
