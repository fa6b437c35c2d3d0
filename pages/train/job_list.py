"""The jobs: progress, curves, logs, and buttons to cancel, resume or use the result."""

from __future__ import annotations

import re
from datetime import datetime

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from hemodetect.errors import HemodetectError
from hemodetect.evaluation import PUBLISHED
from hemodetect.figures.searching import search_map, tuning_panels
from hemodetect.figures.theme import CHART_CONFIG
from hemodetect.figures.training import learning_curve
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.models.recipes import DEPTHS
from hemodetect.reports.search import search_text, tuning_text
from hemodetect.training.jobs import control
from hemodetect.training.jobs.gpus import gpus
from hemodetect.training.jobs.progress import confusion_of_last_epoch, log_tail, progress
from hemodetect.training.jobs.rows import ALIVE, RESUMABLE, Job
from hemodetect.training.search_results import GridSearch, SearchError, Tuning
from pages.common.sign_in import acting_person
from pages.common.text import plain
from pages.train.promotion_form import promotion_form

EVERY_SECONDS = 2
SHOWN = 50
_ICONS = {
    "queued": ":material/schedule:",
    "running": ":material/play_circle:",
    "finished": ":material/check_circle:",
    "failed": ":material/error:",
    "cancelled": ":material/cancel:",
    "interrupted": ":material/power_off:",
}


def job_list() -> None:
    """All jobs, and the one in view."""
    try:
        every = control.jobs()
    except HemodetectError as error:
        st.error(str(error), icon=":material/error:")
        return
    known = [one for place, one in enumerate(every) if place < SHOWN or one.state in ALIVE]
    if not known:
        st.caption("No job yet.")
        return
    ids = [one.id for one in known]
    if st.session_state.get("train_job") not in ids:
        st.session_state["train_job"] = ids[0]
    names = {one.id: _title(one) for one in known}
    chosen = st.selectbox("Job", ids, format_func=names.__getitem__, key="train_job")
    alive = any(one.state in ALIVE for one in known)
    # What runs is looked at again by itself; what does not, need not be.
    st.fragment(_watched, run_every=EVERY_SECONDS if alive else None)(chosen)
    shown = next(one for one in known if one.id == chosen)
    if shown.state == "finished":
        if shown.plan.task == "search":
            _searched(shown)
        else:
            promotion_form(shown.bundle, "train")


def _searched(shown: Job) -> None:
    try:
        if shown.plan.family in DEPTHS:
            _tuned(Tuning.read(shown.result))
            return
        found = GridSearch.read(shown.result)
    except SearchError as error:
        st.error(str(error), icon=":material/error:")
        return
    st.plotly_chart(search_map(found), theme=None, key="train_search", config=CHART_CONFIG)
    st.caption(
        "AUROC by patient on patients held out; 95 % intervals by patient. Do not choose settings from"
        " this map: the best square was found on the test patients."
    )
    st.markdown(search_text(found).splitlines()[-1])


def _tuned(found: Tuning) -> None:
    st.plotly_chart(tuning_panels(found), theme=None, key="train_tuning", config=CHART_CONFIG)
    st.markdown(tuning_text(found))


def _title(one: Job) -> str:
    plan = one.plan
    name = plan.data.rstrip("/").rsplit("/", 1)[-1]
    what = "search" if plan.task == "search" else f"recipe {plan.recipe}"
    return (
        f"{one.number}: {FAMILY_NAMES.get(plan.family, plan.family)}, {what}, {name},"
        f" {one.created.astimezone():%d %b %H:%M}, by {one.who}"
    )


def _watched(job_id: str) -> None:
    try:
        shown = control.job(job_id)
    except HemodetectError as error:
        st.error(str(error), icon=":material/error:")
        return
    before = st.session_state.get("train_state")
    st.session_state["train_state"] = (job_id, shown.state)
    if before and before[0] == job_id and before[1] in ALIVE and shown.state not in ALIVE:
        st.rerun()  # the rest of the page has something to say now
    at = progress(shown)
    state, action = st.columns([8, 2], vertical_alignment="center")
    said = f"{_ICONS[shown.state]} **{shown.state.capitalize()}**"
    if shown.cancelling and shown.state in ALIVE:
        said += ", stopping"
    if shown.reason:
        said += f". {plain(shown.reason)}"
    state.markdown(said)
    _action(shown, action)
    if shown.state in ALIVE or (shown.state in RESUMABLE and at.share):
        left = f"; about {_duration(at.seconds_left)} left" if at.seconds_left else ""
        waiting = "Waiting in the queue" if shown.state == "queued" else at.activity
        st.progress(at.share, waiting + left)
    st.caption(_times(shown))
    if not at.history.empty:
        st.plotly_chart(
            learning_curve(at.history, PUBLISHED.get((shown.plan.family, shown.plan.recipe))),
            theme=None,
            key=f"train_curve_{job_id}",
            config=CHART_CONFIG | {"displayModeBar": False},
        )
        _confusion(at.history)
    _cards(shown)
    with st.expander("Log", icon=":material/article:"):
        st.code("\n".join(log_tail(shown)) or "The log is empty.", language=None)
        st.download_button(
            "Download the log",
            lambda: shown.log.read_bytes() if shown.log.is_file() else b"",
            f"job-{shown.number}.log",
            "text/plain",
            key="train_log",
            on_click="ignore",
        )


def _action(shown: Job, place: DeltaGenerator) -> None:
    what = None
    if shown.state in ALIVE:
        if place.button("Cancel", icon=":material/stop_circle:", key="train_cancel"):
            what = control.cancel
    elif shown.state in RESUMABLE and place.button(
        "Resume", icon=":material/resume:", key="train_resume"
    ):
        what = control.resume
    if what is None:
        return
    try:
        what(shown.id, acting_person())
    except HemodetectError as error:
        st.error(str(error), icon=":material/error:")
    else:
        st.rerun()


def _confusion(history: pd.DataFrame) -> None:
    found = confusion_of_last_epoch(history)
    if found is None:
        return
    st.caption("Calls on the validation patients' slices after the latest epoch:")
    st.dataframe(
        [
            {"Labelled": "none", "Called none": found.tn, "Called hemorrhage": found.fp},
            {"Labelled": "hemorrhage", "Called none": found.fn, "Called hemorrhage": found.tp},
        ],
        hide_index=True,
        width="content",
        key="train_confusion",
    )


def _cards(shown: Job) -> None:
    if shown.device == "cpu" or shown.state != "running":
        return
    for card in gpus():
        if card.device == shown.device:
            busy = "" if card.busy is None else f", computing {card.busy:.0%} of the time"
            st.caption(
                f":material/memory: {card.name}: {card.used_mib / 1024:.1f} of"
                f" {card.memory_mib / 1024:.0f} GiB in use{busy}"
            )


def _times(shown: Job) -> str:
    plan = shown.plan
    parts = [
        f"split by {'patient' if plan.split == 'patient' else 'slice'}",
        f"{plan.folds} folds" if plan.split == "patient" else "",
        "" if plan.epochs is None else f"at most {plan.epochs} epochs",
        "" if plan.batch is None else f"batch {plan.batch}",
        "" if plan.learning_rate is None else f"learning rate {plan.learning_rate:g}",
        f"seed {plan.seed}",
        f"device {shown.device}",
        _clock("started", shown.started),
        _clock("ended", shown.ended),
        f"data {shown.fingerprint[:8]}" if shown.fingerprint else "",
        re.sub(r"[{}']", "", ", ".join(f"{k} {v}" for k, v in shown.versions.items())),
    ]
    return "; ".join(part for part in parts if part)


def _clock(word: str, time: datetime | None) -> str:
    return "" if time is None else f"{word} {time.astimezone():%d %b %H:%M:%S}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
