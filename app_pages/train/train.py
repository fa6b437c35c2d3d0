"""Train: the data set and its audit, what to train, the jobs, and putting a model into use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import streamlit as st

from app_pages.common.sign_in import ask_person
from app_pages.common.text import plain
from app_pages.train.custom import custom_plans
from app_pages.train.data_set import choose_data_set, last_audit
from app_pages.train.goals import CUSTOM, GOALS, goal_plans
from app_pages.train.job_list import job_list
from hemodetect.errors import HemodetectError
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.training.jobs import control
from hemodetect.training.jobs.rows import JobError
from hemodetect.training.jobs.runs import visible_cards
from hemodetect.training.plan import RANGES, TrainingPlan

ESTIMATE_SECONDS = 300


def _plan(data: Path) -> None:
    st.subheader("What to train")
    goal = st.segmented_control(
        "What to train",
        GOALS,
        default=GOALS[0],
        required=True,
        key="train_goal",
        label_visibility="collapsed",
    )
    if goal == CUSTOM:
        custom = custom_plans(data)
        if custom is not None:
            _start(*custom, _stops(data, custom[0]))
        return
    plans = goal_plans(goal, data)
    if plans is not None:
        _start(plans, None, _stops(data, plans))


def _stops(data: Path, plans: list[TrainingPlan]) -> list[str]:
    """Why these trainings must not start, as far as the audit of the set says."""
    audit = last_audit(data)
    if audit is None:
        return []
    # Patients on both sides are what the study's split is about; a number of folds that is out of range
    # has a sentence of its own.
    low, high = RANGES["folds"]
    folds = {p.folds for p in plans if p.split == "patient" and low <= p.folds <= high}
    return list(dict.fromkeys(sentence for n in sorted(folds) for sentence in audit.stops(n)))


def _start(
    plans: list[TrainingPlan], searches: list[TrainingPlan] | None, stops: list[str]
) -> None:
    """The name, and the buttons: train, search where there are settings to search, estimate."""
    for sentence in stops:
        st.error(plain(sentence), icon=":material/block:")
    if stops:
        plans, searches = [], [] if searches is not None else None
    name, train, estimate, search = st.columns([3, 2, 2, 2], vertical_alignment="bottom")
    person = ask_person(name, "train_name")
    train_clicked = train.button(
        "Train",
        type="primary",
        icon=":material/model_training:",
        disabled=not plans,
        key="train_start",
        width="stretch",
    )
    search_clicked = searches is not None and search.button(
        "Search",
        icon=":material/grid_on:",
        disabled=not searches,
        help="Compares settings of the recipe “paper” over patient folds: C, gamma and kernel of the"
        " SVM, C of the logistic regression, or learning rate, dropout, L2 and depth of a network."
        " It needs the split by patient.",
        key="train_search_start",
        width="stretch",
    )
    if estimate.button(
        "Estimate the time",
        icon=":material/timer:",
        disabled=not plans,
        key="train_estimate",
        width="stretch",
    ):
        for plan in plans:
            _estimate(plan)
    if not (train_clicked or search_clicked):
        return
    if search_clicked and searches is not None:
        plans = searches
    try:
        for plan in plans:
            plan.checked_recipe()  # all of them before the first is started
        for plan in plans:
            started = control.start(plan, person)
            st.session_state["train_job"] = started.id
            st.toast(f"Job {started.number}, {FAMILY_NAMES[plan.family]}, is queued.")
    except HemodetectError as error:
        st.error(str(error), icon=":material/error:")


def _estimate(plan: TrainingPlan) -> None:
    """Times a short training in another process, because the app itself never uses a GPU."""
    try:
        plan.checked_recipe()
        if any(job.state == "running" and job.device == plan.device for job in control.jobs()):
            raise JobError("a job is running on this device; an estimate now would be wrong.")
        with st.spinner(f"Timing a short training of the {FAMILY_NAMES[plan.family]}"):
            process = subprocess.run(
                [sys.executable, "-m", "hemodetect", *plan.arguments(Path("none")), "--estimate"],
                capture_output=True,
                text=True,
                timeout=ESTIMATE_SECONDS,
                env=os.environ | visible_cards(plan.device),
            )
        lines = (process.stdout if process.returncode == 0 else process.stderr).strip().splitlines()
        sentence = lines[-1].removeprefix("hemodetect: ") if lines else "no answer"
    except subprocess.TimeoutExpired:
        sentence = "even the short training took more than five minutes"
    except HemodetectError as error:
        sentence = str(error)
    st.markdown(f":material/timer: {FAMILY_NAMES[plan.family]}: {plain(sentence)}")


st.title("Train")
st.write(
    "Train a model on a labelled data set, compare it with the model in use, and put it into use. A"
    " job continues when this page is closed."
)
data_set = choose_data_set()
if data_set is not None:
    _plan(data_set)
st.subheader("Jobs")
job_list()
