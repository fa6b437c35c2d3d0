"""The jobs: progress, curves, logs, and buttons to cancel, resume or use the result."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app_pages.common.sign_in import acting_person
from app_pages.common.text import plain
from app_pages.train.promotion_form import promotion_form
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

EVERY_SECONDS = 2
LISTED_JOBS = 50
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
        all_jobs = control.jobs()
    except HemodetectError as error:
        st.error(str(error), icon=":material/error:")
        return
    listed = [
        job for position, job in enumerate(all_jobs) if position < LISTED_JOBS or job.state in ALIVE
    ]
    if not listed:
        st.caption("No job yet.")
        return
    ids = [job.id for job in listed]
    if st.session_state.get("train_job") not in ids:
        st.session_state["train_job"] = ids[0]
    names = {job.id: _title(job) for job in listed}
    chosen = st.selectbox("Job", ids, format_func=names.__getitem__, key="train_job")
    alive = any(job.state in ALIVE for job in listed)
    # Only jobs that run or wait are read again and again.
    st.fragment(_watched, run_every=EVERY_SECONDS if alive else None)(chosen)
    job = next(job for job in listed if job.id == chosen)
    if job.state == "finished":
        if job.plan.task == "search":
            _searched(job)
        else:
            promotion_form(job.bundle, "train", Path(job.plan.data))


def _searched(job: Job) -> None:
    try:
        if job.plan.family in DEPTHS:
            _tuned(Tuning.read(job.result))
            return
        grid = GridSearch.read(job.result)
    except SearchError as error:
        st.error(str(error), icon=":material/error:")
        return
    st.plotly_chart(search_map(grid), theme=None, key="train_search", config=CHART_CONFIG)
    st.caption(
        "AUROC by patient on held-out patients, with 95 % intervals from resampling patients. Do not"
        " choose settings from this map: the best square is the best on the test patients."
    )
    st.markdown(search_text(grid).splitlines()[-1])


def _tuned(tuning: Tuning) -> None:
    st.plotly_chart(tuning_panels(tuning), theme=None, key="train_tuning", config=CHART_CONFIG)
    st.markdown(tuning_text(tuning))


def _title(job: Job) -> str:
    plan = job.plan
    name = plan.data.rstrip("/").rsplit("/", 1)[-1]
    what = "search" if plan.task == "search" else f"recipe {plan.recipe}"
    return (
        f"{job.number}: {FAMILY_NAMES.get(plan.family, plan.family)}, {what}, {name},"
        f" {job.created.astimezone():%d %b %H:%M}, by {job.who}"
    )


def _watched(job_id: str) -> None:
    try:
        job = control.job(job_id)
    except HemodetectError as error:
        st.error(str(error), icon=":material/error:")
        return
    previous = st.session_state.get("train_state")
    st.session_state["train_state"] = (job_id, job.state)
    if previous and previous[0] == job_id and previous[1] in ALIVE and job.state not in ALIVE:
        st.rerun()  # the rest of the page shows the result
    job_progress = progress(job)
    state, action = st.columns([8, 2], vertical_alignment="center")
    sentence = f"{_ICONS[job.state]} **{job.state.capitalize()}**"
    if job.cancelling and job.state in ALIVE:
        sentence += ", stopping"
    if job.reason:
        sentence += f". {plain(job.reason)}"
    state.markdown(sentence)
    _action(job, action)
    if job.state in ALIVE or (job.state in RESUMABLE and job_progress.share):
        left = (
            f"; about {_duration(job_progress.seconds_left)} left"
            if job_progress.seconds_left
            else ""
        )
        waiting = "Waiting in the queue" if job.state == "queued" else job_progress.activity
        st.progress(job_progress.share, waiting + left)
    st.caption(_times(job))
    if not job_progress.history.empty:
        st.plotly_chart(
            learning_curve(job_progress.history, PUBLISHED.get((job.plan.family, job.plan.recipe))),
            theme=None,
            key=f"train_curve_{job_id}",
            config=CHART_CONFIG | {"displayModeBar": False},
        )
        _confusion(job_progress.history)
    _cards(job)
    with st.expander("Log", icon=":material/article:"):
        st.code("\n".join(log_tail(job)) or "The log is empty.", language=None)
        st.download_button(
            "Download the log",
            lambda: job.log.read_bytes() if job.log.is_file() else b"",
            f"job-{job.number}.log",
            "text/plain",
            key="train_log",
            on_click="ignore",
        )


def _action(job: Job, place: DeltaGenerator) -> None:
    action = None
    if job.state in ALIVE:
        if place.button("Cancel", icon=":material/stop_circle:", key="train_cancel"):
            action = control.cancel
    elif job.state in RESUMABLE and place.button(
        "Resume", icon=":material/resume:", key="train_resume"
    ):
        action = control.resume
    if action is None:
        return
    try:
        action(job.id, acting_person())
    except HemodetectError as error:
        st.error(str(error), icon=":material/error:")
    else:
        st.rerun()


def _confusion(history: pd.DataFrame) -> None:
    confusion = confusion_of_last_epoch(history)
    if confusion is None:
        return
    st.caption("Calls for the slices of the validation patients after the latest epoch:")
    st.dataframe(
        [
            {"Labelled": "none", "Called none": confusion.tn, "Called hemorrhage": confusion.fp},
            {
                "Labelled": "hemorrhage",
                "Called none": confusion.fn,
                "Called hemorrhage": confusion.tp,
            },
        ],
        hide_index=True,
        width="content",
        key="train_confusion",
    )


def _cards(job: Job) -> None:
    if job.device == "cpu" or job.state != "running":
        return
    for card in gpus():
        if card.device == job.device:
            busy = "" if card.busy is None else f", computing {card.busy:.0%} of the time"
            st.caption(
                f":material/memory: {card.name}: {card.used_mib / 1024:.1f} of"
                f" {card.memory_mib / 1024:.0f} GiB in use{busy}"
            )


def _times(job: Job) -> str:
    plan = job.plan
    parts = [
        f"split by {'patient' if plan.split == 'patient' else 'slice'}",
        f"{plan.folds} folds" if plan.split == "patient" else "",
        "" if plan.epochs is None else f"at most {plan.epochs} epochs",
        "" if plan.batch is None else f"batch {plan.batch}",
        "" if plan.learning_rate is None else f"learning rate {plan.learning_rate:g}",
        f"seed {plan.seed}",
        f"device {job.device}",
        _clock("started", job.started),
        _clock("ended", job.ended),
        f"data {job.fingerprint[:8]}" if job.fingerprint else "",
        re.sub(r"[{}']", "", ", ".join(f"{k} {v}" for k, v in job.versions.items())),
    ]
    return "; ".join(part for part in parts if part)


def _clock(word: str, time: datetime | None) -> str:
    return "" if time is None else f"{word} {time.astimezone():%d %b %H:%M:%S}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
