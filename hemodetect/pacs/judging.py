"""The models read the studies of the worklist, one after the other: `hemodetect judge`.

One process for each state folder. It can be killed at any time: what it was reading waits again.
"""

from __future__ import annotations

import fcntl
import logging
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from hemodetect.errors import EmptyStudy, HemodetectError, SettingError
from hemodetect.explain.heat_maps import study_maps
from hemodetect.models.series_cache import SeriesCache
from hemodetect.pacs import inbox, worklist
from hemodetect.pacs.deliveries import deliver_due
from hemodetect.pacs.results import send_back
from hemodetect.pacs.sealed import SealBroken
from hemodetect.pacs.sending import send
from hemodetect.prediction.study_prediction import FamilyPrediction, StudyPrediction, predict_study
from hemodetect.registry.promotion import release_state
from hemodetect.registry.releases import ReleasedModel, load_releases
from hemodetect.settings import settings
from hemodetect.storage.database import DatabaseDown

LOOK_SECONDS = 1.0
"""Between looks at the worklist while nothing waits."""
_SETTLE_SECONDS = 5.0
_SWEEP_SECONDS = 3600.0
_DATABASE_SECONDS = 5.0
_LOCK = "judging.lock"
SENDER = "hemodetect"
"""Who sends results automatically, in the audit trail."""

log = logging.getLogger(__name__)


class AlreadyJudging(HemodetectError):
    """Another process of the models works on this worklist."""


def study_score(families: Mapping[str, FamilyPrediction]) -> float | None:
    """Mean of the calibrated probabilities for the patient, of models that had something to judge by.

    None where none had. A model that cannot tell counts: its probability is in between, and so is the
    study's place.
    """
    known = [answer.patient for answer in families.values() if not answer.is_blind]
    return float(np.mean(known)) if known else None


def judge_worklist(keep_on: Callable[[], bool] = lambda: True) -> None:
    """Works until `keep_on` says no: judges what waits, sends what is due, removes what has expired.

    Raises:
        AlreadyJudging: another process does.
        SettingError: no model can be loaded, or the state folder cannot be written.
    """
    with _only_process():
        models = _Models()
        _patiently(worklist.take_up_again)
        settled = swept = -np.inf
        while keep_on():
            now = time.monotonic()
            if now - settled > _SETTLE_SECONDS:
                _patiently(worklist.settle)
                settled = now
            if now - swept > _SWEEP_SECONDS:
                _patiently(worklist.sweep)
                swept = now
            waiting = _patiently(worklist.next_to_judge)
            if waiting is not None:
                judge(waiting, models.current())
            _patiently(lambda: deliver_due(send))
            if waiting is None:
                time.sleep(LOOK_SECONDS)


def is_judging() -> bool:
    """Whether a process of the models works on this worklist, as far as this machine can see."""
    file = settings().state / _LOCK
    if not file.exists():
        return False
    with file.open("r") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def judge(entry: worklist.Entry, models: Mapping[str, ReleasedModel]) -> None:
    """Reads one study of the worklist with the models, and keeps what they say."""
    began = time.monotonic()
    try:
        study, files = inbox.read(entry.study)
        cache = SeriesCache()
        prediction = predict_study(study, models, cache=cache)
        result = _result(prediction)
    except (EmptyStudy, SealBroken) as error:
        prediction, result = None, {"state": "stopped", "reason": str(error)}
    except MemoryError:
        prediction, result = None, _failed("This machine has too little memory for the study.")
    except OSError as error:
        prediction, result = None, _failed(f"Its files cannot be read ({error.strerror}).")
    except HemodetectError as error:
        prediction, result = None, _failed(str(error))
    except Exception as error:  # noqa: BLE001  one study must not end the process
        # Its message may quote a header.
        place = traceback.extract_tb(error.__traceback__)[-1]
        log.error(
            "%s: %s at %s:%s", entry.study, type(error).__name__, place.filename, place.lineno
        )
        prediction, result = None, _failed("The models failed on this study; the log has more.")
    if inbox.count(entry.study) != entry.files:
        # Images came in the meantime; `settle` takes it up when no more come.
        _patiently(lambda: worklist.arriving(entry.study, entry.source))
        return
    kept = _patiently(lambda: worklist.judged(entry.study, result))
    seconds = time.monotonic() - began
    log.info("%s: %s after %.1f s", entry.study, result["state"] if kept else "new files", seconds)
    if kept and prediction is not None and not prediction.stopped and _sends_automatically():
        _send(prediction, models, cache, files[0].data)


def _failed(reason: str) -> dict[str, Any]:
    return {"state": "failed", "reason": f"{reason} Read it without the models."}


def _result(prediction: StudyPrediction) -> dict[str, Any]:
    """Columns of the worklist."""
    slices = len(prediction.study.slices)
    cautions = list(prediction.cautions)
    if prediction.stopped:
        reason = prediction.stopped
        return {"state": "stopped", "reason": reason, "cautions": cautions, "slices": slices}
    return {
        "state": "judged",
        "score": study_score(prediction.families),
        "slices": slices,
        "cautions": cautions,
        "answers": {
            family: {
                "patient": answer.patient,
                "threshold": answer.threshold,
                "call": answer.call,
                "undecided": answer.undecided,
                "suspicious": answer.suspicious,
                "version": answer.version,
            }
            for family, answer in prediction.families.items()
        },
    }


def _sends_automatically() -> bool:
    return bool(settings().send_automatically and settings().send_to)


def _send(
    prediction: StudyPrediction,
    models: Mapping[str, ReleasedModel],
    cache: SeriesCache,
    original: bytes,
) -> None:
    slices = prediction.study.slices
    try:
        maps = study_maps(models["cnn"], slices, cache) if "cnn" in models else None
        send_back(prediction, maps, original, SENDER)
    except Exception as error:  # noqa: BLE001  the study is judged; the results can be sent from Read
        log.error("%s: its results were not queued: %s", prediction.study.id, type(error).__name__)


class _Models:
    """The released models; loaded again when another release is put into use."""

    def __init__(self) -> None:
        self._state: object = None
        self._models: Mapping[str, ReleasedModel] = {}
        self.current()

    def current(self) -> Mapping[str, ReleasedModel]:
        """The models in use; those of before where none can be loaded now."""
        state = release_state(settings().artifacts)
        if state != self._state:
            loaded = load_releases(settings().artifacts)
            for family, reason in loaded.missing.items():
                log.warning("no release of %s: %s", family, reason)
            self._state, self._models = state, loaded.models or self._models
        if not self._models:
            raise SettingError("No model can be loaded; train one, or set HEMODETECT_ARTIFACTS.")
        return self._models


@contextmanager
def _only_process() -> Iterator[None]:
    folder = settings().state
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyJudging(
                "Another `hemodetect judge` works on this worklist; one is enough."
            ) from None
        yield


def _patiently(ask: Callable[[], Any]) -> Any:
    """Asks the database until it answers."""
    while True:
        try:
            return ask()
        except DatabaseDown as error:
            log.warning("%s", error)
            time.sleep(_DATABASE_SECONDS)
