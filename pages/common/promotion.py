"""A new bundle beside the one in use, and the step into use."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from hemodetect.errors import BundleError, HemodetectError
from hemodetect.evaluation.differences import difference_sentence
from hemodetect.evaluation.levels import Level
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.registry.bundle import Card, read_card
from hemodetect.registry.promotion import RELEASES, promote
from hemodetect.reports.words import beats_baseline
from hemodetect.settings import settings
from hemodetect.validation.compare_with_release import ReleaseComparison, compare_with_release
from pages.common.shared import person, plain


def promotion_form(bundle: Path, prefix: str) -> None:
    """Figures of `bundle`, its comparison with the release, and the button that puts it into use.

    Keys of widgets begin with `prefix`.
    """
    try:
        card = read_card(bundle)
    except BundleError as error:
        st.error(str(error), icon=":material/error:")
        return
    release = settings().artifacts / RELEASES / card.family
    st.subheader(f"{FAMILY_NAMES[card.family]} {card.version}")
    current = _in_use(release)
    figures({"new": card} | ({"in use": current} if current else {}))
    if current is None:
        st.caption(f"No {FAMILY_NAMES[card.family]} is in use.")
    elif current.version == card.version:
        st.markdown(":material/check_circle: In use.")
        return
    else:
        _comparison(bundle, release, card, current)
    if card.split == "paper":
        st.caption(
            ":material/block: Its figures leak (slices of one patient were on both sides), so it holds"
            " no model and cannot be put into use."
        )
        return
    if not beats_baseline(card):
        st.caption(
            ":material/warning: On patients held out of training it was not shown to be right more"
            " often than always giving the commoner answer."
        )
    _step(bundle, card, prefix)


def figures(cards: dict[str, Card]) -> None:
    """A table of cards' out-of-fold figures, a row a card and level."""
    rows = []
    for name, card in cards.items():
        for level, scores in card.metrics.items():
            rows.append(
                {
                    "": name,
                    "Bundle": card.version,
                    "By": level,
                    "n": scores["n"],
                    "Accuracy": _interval(scores["accuracy"]),
                    "Always the commoner": f"{scores['majority_baseline']:.1%}",
                    "Balanced accuracy": _interval(scores["balanced_accuracy"]),
                    "Sensitivity": _interval(scores["sensitivity"]),
                    "Specificity": _interval(scores["specificity"]),
                    "AUROC": _interval(scores["auroc"], percent=False),
                }
            )
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")
    st.caption("On patients held out of training; 95 % intervals resample patients.")


def _interval(metric: dict[str, float | None], percent: bool = True) -> str:
    value, low, high = (metric[name] for name in ("value", "low", "high"))
    if value is None or value != value:
        return "-"
    if low is None or high is None or low != low:
        return f"{value:.1%}" if percent else f"{value:.2f}"
    if percent:
        return f"{value:.1%} ({100 * low:.0f}-{100 * high:.0f})"
    return f"{value:.2f} ({low:.2f}-{high:.2f})"


def _in_use(release: Path) -> Card | None:
    try:
        return read_card(release)
    except BundleError:
        return None


def _comparison(bundle: Path, release: Path, card: Card, current: Card) -> None:
    try:
        found = _release_comparison(bundle, release, card.version, current.version)
    except HemodetectError as error:
        st.caption(f":material/info: {plain(error)}")
        return
    for level, difference in found.items():
        for metric, what in ((difference.auroc, "AUROC"), (difference.accuracy, "accuracy")):
            said = difference_sentence("the new bundle", "the one in use", metric, what)
            st.markdown(f"- By {level}: {said[0].lower()}{said[1:]}")


@st.cache_data(show_spinner="Comparing it with the model in use", max_entries=8)
def _release_comparison(
    bundle: Path, release: Path, version: str, current: str
) -> dict[Level, ReleaseComparison]:
    """Kept by the versions, which stand for exactly these files: it resamples 2,000 times."""
    return compare_with_release(bundle, release)


def _step(bundle: Path, card: Card, prefix: str) -> None:
    reason, name, button = st.columns([4, 3, 2], vertical_alignment="bottom")
    why = reason.text_input("Why it shall be used", key=f"{prefix}_why")
    asking = person(name, f"{prefix}_promoter")
    if not button.button(
        "Put into use",
        type="primary",
        icon=":material/publish:",
        key=f"{prefix}_promote",
        width="stretch",
    ):
        return
    # Brings TensorFlow, which the page need not wait for before.
    from hemodetect.registry.releases import load_bundle

    try:
        with st.spinner("Trying the model, then putting it into use"):
            promote(bundle, settings().artifacts, who=asking, why=why, check=load_bundle)
    except (HemodetectError, OSError) as error:
        st.error(str(error), icon=":material/error:")
        return
    st.rerun()
