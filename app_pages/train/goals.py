"""What a person wants from a training: our models on new data, the study again, or every setting."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app_pages.common.text import plain
from app_pages.train.data_set import backbone_sets
from app_pages.train.device import choose_device, why_this_device
from hemodetect.dataset.joined import SUFFIX, folders_of
from hemodetect.errors import BundleError
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.registry.bundle import Card, read_card
from hemodetect.registry.promotion import PUBLISHED, RELEASES, release_state
from hemodetect.settings import settings
from hemodetect.training.plan import TrainingPlan

RETRAIN, REPRODUCE, CUSTOM = "Retrain our models on my data", "Reproduce the study", "Custom"
GOALS = [RETRAIN, REPRODUCE, CUSTOM]


def goal_plans(goal: str, data: Path) -> list[TrainingPlan] | None:
    """What `goal` does with a data set, in sentences, and its plans; None where it cannot be done."""
    return _retrain(data) if goal == RETRAIN else _reproduce(data)


def _retrain(data: Path) -> list[TrainingPlan] | None:
    sets = {folder: name for folder, name in backbone_sets().items() if folder.suffix == SUFFIX}
    st.write(
        f"The five models learn to judge studies from {plain(data.name)}, on what our network that"
        " looks for blood finds in them. They are measured on patients held out of training, and"
        " compared with the models in use."
    )
    if not sets:
        st.info(
            "The sets that this network was trained on are not on this server, and the new models must"
            " be calibrated on them. A network of your own is trained by `hemodetect train --data"
            " SET --model all --recipe study`, from any set that is labelled slice by slice.",
            icon=":material/folder_off:",
        )
        return None
    folder = next(iter(sets))
    if data.resolve() in {one.resolve() for one in folders_of(folder)}:
        st.info(
            f"This network was trained on {plain(data.name)}, so models built on it would be measured"
            " on patients it knows. Choose another set here. To train everything anew, use"
            " `hemodetect train --data SET --model all --recipe study`.",
            icon=":material/block:",
        )
        return None
    families, device = _families_and_device(RELEASES)
    return [
        TrainingPlan(
            data=str(data),
            family=family,
            recipe="study",
            device=device,
            backbone=str(settings().artifacts / "backbone" / "blood"),
            backbone_data=str(folder),
        )
        for family in families
    ]


def _reproduce(data: Path) -> list[TrainingPlan]:
    st.write(
        "The five models of the study are trained as they were published: 50 epochs, and slices split"
        " at random. Slices of one patient are then in training and in testing, so the scores do not"
        " apply to new patients, and the models cannot be put into use."
    )
    families, device = _families_and_device(PUBLISHED)
    return [
        TrainingPlan(
            data=str(data),
            family=family,
            recipe="paper",
            split="paper",
            device=device,
            stop_patience=None if family in ("svm", "logistic") else 0,
        )
        for family in families
    ]


def _families_and_device(kind: str) -> tuple[list[str], str]:
    """Which models, and on what, with the time that such trainings took."""
    left, right = st.columns([3, 2])
    families = left.multiselect(
        "Models",
        list(FAMILY_NAMES),
        list(FAMILY_NAMES),
        format_func=FAMILY_NAMES.__getitem__,
        key=f"train_goal_families_{kind}",
    )
    with right:
        device = choose_device()
    state = release_state(settings().artifacts, kind)
    time = _time_sentence(kind, tuple(families), state)
    st.caption(f":material/timer: {time} {why_this_device()}")
    return families, device


@st.cache_data(show_spinner=False, max_entries=16)
def _time_sentence(
    kind: str, families: tuple[str, ...], state: tuple[tuple[str, int, int], ...]
) -> str:
    """How long the models of this kind took.

    Kept until `state` changes: to read a card, all files of its bundle are checked.
    """
    cards = [_card(settings().artifacts / kind / family) for family in families]
    known = [card for card in cards if card is not None]
    if not known or len(known) < len(families):
        return "“Estimate the time” measures a short training on this machine."
    minutes = sum(sum(card.seconds.values()) for card in known) / 60
    slices = known[0].counts["slices"]
    return (
        f"The models that come with this program took {minutes:.0f} min on two cores, one after the"
        f" other, for {slices:,} slices."
    )


def _card(folder: Path) -> Card | None:
    try:
        return read_card(folder)
    except BundleError:
        return None
