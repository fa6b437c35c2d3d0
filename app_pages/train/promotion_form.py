"""Comparison of a new bundle with the one in use, and the form that puts it into use."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app_pages.common.figures_table import figures_table
from app_pages.common.sign_in import ask_person
from app_pages.common.text import plain
from hemodetect.dataset.cache import open_dataset
from hemodetect.errors import BundleError, HemodetectError
from hemodetect.evaluation.differences import difference_sentence
from hemodetect.evaluation.levels import Level
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.registry.bundle import Card, read_card
from hemodetect.registry.promotion import RELEASES, promote
from hemodetect.reports.words import beats_baseline
from hemodetect.settings import settings
from hemodetect.validation.compare_with_release import (
    ReleaseComparison,
    compare_with_release,
    measured_with_release,
)


def promotion_form(bundle: Path, prefix: str, data: Path | None = None) -> None:
    """Figures of `bundle`, its comparison with the release, and the button that puts it into use.

    Args:
        bundle: its folder.
        prefix: of the keys of widgets.
        data: the set that it was trained on, where that is on this server.
    """
    try:
        card = read_card(bundle)
    except BundleError as error:
        st.error(str(error), icon=":material/error:")
        return
    release = settings().artifacts / RELEASES / card.family
    st.subheader(f"{FAMILY_NAMES[card.family]} {card.version}")
    current = _in_use(release)
    figures_table({"New": card} | ({"In use": current} if current else {}))
    worse = ""
    if current is None:
        st.caption(f"No {FAMILY_NAMES[card.family]} is in use.")
    elif current.version == card.version:
        st.markdown(":material/check_circle: In use.")
        return
    else:
        worse = _comparison(bundle, release, card, current, data)
    if card.split == "paper":
        st.caption(
            ":material/block: Slices of one patient were on both sides of the split, so these figures"
            " are too high for new patients. It cannot be put into use."
        )
        return
    doubts = [worse] if worse else []
    if not beats_baseline(card):
        doubts.append(
            "On patients held out of training, this model was not shown to be more accurate than the"
            " majority-class baseline."
        )
    for doubt in doubts:
        st.caption(f":material/warning: {doubt}")
    _step(bundle, card, prefix, confirm=bool(doubts))


def _in_use(release: Path) -> Card | None:
    try:
        return read_card(release)
    except BundleError:
        return None


def _comparison(bundle: Path, release: Path, card: Card, current: Card, data: Path | None) -> str:
    """Shows by how much the new bundle differs from the one in use; returns how it is worse, or ""."""
    try:
        if card.fingerprint == current.fingerprint or data is None:
            differences = _release_comparison(bundle, release, card.version, current.version)
        else:
            differences = _measured(bundle, release, card.version, current.version, data)
    except HemodetectError as error:
        st.caption(f":material/info: {plain(error)}")
        return "It could not be compared with the one in use."
    for level, difference in differences.items():
        for metric, metric_name in ((difference.auroc, "AUROC"), (difference.accuracy, "accuracy")):
            sentence = difference_sentence("the new bundle", "the one in use", metric, metric_name)
            st.markdown(f"- By {level}: {sentence[0].lower()}{sentence[1:]}")
    by_patient = differences["patient"]
    if by_patient.auroc.value < 0 or by_patient.accuracy.value < 0:
        return "By patient, the new model is worse than the one in use."
    return ""


@st.cache_data(show_spinner="Comparing the new model with the model in use", max_entries=8)
def _release_comparison(
    bundle: Path, release: Path, version: str, current: str
) -> dict[Level, ReleaseComparison]:
    """Cached by the versions, which identify the files: the intervals resample 2,000 times."""
    return compare_with_release(bundle, release)


@st.cache_data(
    show_spinner="Measuring the new model and the model in use on the same patients", max_entries=8
)
def _measured(
    bundle: Path, release: Path, version: str, current: str, data: Path
) -> dict[Level, ReleaseComparison]:
    """The models were trained on different data: the one in use reads the set of the new one."""
    return measured_with_release(bundle, release, open_dataset(data))


def _step(bundle: Path, card: Card, prefix: str, *, confirm: bool) -> None:
    """The reason, the name and the button; where there are doubts, the version must be typed too."""
    confirmed = True
    if confirm:
        typed = st.text_input(
            f"To use this model all the same, type its version: {card.version}",
            key=f"{prefix}_confirm",
        )
        confirmed = typed.strip() == card.version
    reason, name, button = st.columns([4, 3, 2], vertical_alignment="bottom")
    why = reason.text_input("Reason", key=f"{prefix}_why")
    person = ask_person(name, f"{prefix}_promoter")
    if not button.button(
        "Put into use",
        type="primary",
        icon=":material/publish:",
        key=f"{prefix}_promote",
        width="stretch",
        disabled=not confirmed,
    ):
        return
    # Imports TensorFlow, which takes seconds; the page needs it only here.
    from hemodetect.registry.releases import load_bundle

    try:
        with st.spinner("Checking the model, then putting it into use"):
            promote(bundle, settings().artifacts, who=person, why=why, check=load_bundle)
    except (HemodetectError, OSError) as error:
        st.error(str(error), icon=":material/error:")
        return
    st.rerun()
