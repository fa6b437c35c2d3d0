"""What the models' being in the app's process asks of it."""

from __future__ import annotations

import gc
import threading
import time
from functools import cache

import keras

AGAIN_SECONDS = 600.0


def settle_models() -> None:
    """Spares the loaded models what Streamlit does after every run of a page.

    It clears Keras and collects garbage twice over TensorFlow's half a million objects: 0.55 s after
    each turn of a slice, measured, and one reader's run throws away the kernels and the naming state
    that another's prediction is using at that moment. Models are loaded once here and belong to
    nobody's run, so there is nothing to clear; what is there by now is left out of collections.

    Of what is left out some may be a browser session of that moment, and its study: it is looked
    through again every `AGAIN_SECONDS`, so that images stay no longer than that after the session.
    """
    setattr(keras.backend, "clear_session", _nothing)  # noqa: B010 - Streamlit looks it up there
    settle()
    _keep_settling()


def settle() -> None:
    """Collects what nobody holds any more, and leaves the rest out of further collections."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


@cache
def _keep_settling() -> None:
    """Once a process."""
    threading.Thread(target=_settling, name="settling", daemon=True).start()


def _settling() -> None:
    while True:
        time.sleep(AGAIN_SECONDS)
        settle()


def _nothing() -> None:
    """In the place of `keras.backend.clear_session`, of which Streamlit asks nothing back."""
