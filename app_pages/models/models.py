"""Models: the bundles in use, their earlier releases, and the record of changes."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app_pages.common.figures_table import LEVELS, with_interval
from app_pages.common.text import plain
from app_pages.models.bundle_details import bundle_details
from hemodetect.errors import BundleError
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.registry.bundle import Card, read_card
from hemodetect.registry.promotion import RELEASES, Promotion, promotions
from hemodetect.settings import settings

_CHANGES_IN_VIEW = 10
_CHANGES_HEIGHT = 480  # pixels; a longer record scrolls in it


def _cards() -> tuple[dict[str, Card], dict[str, str]]:
    """Card of the bundle in use by family; and for each family without one, the reason."""
    artifacts = settings().artifacts
    cards, reasons = dict[str, Card](), dict[str, str]()
    for family in FAMILY_NAMES:
        try:
            cards[family] = read_card(artifacts / RELEASES / family)
        except BundleError as error:
            reasons[family] = str(error).replace(f"{artifacts}/", "")
    return cards, reasons


def _row(family: str, card: Card | None) -> dict[tuple[str, str], str]:
    row = {("", "Model"): FAMILY_NAMES[family], ("", "In use"): "none"}
    if card is None:
        return row
    row["", "In use"] = card.version
    for level, name in LEVELS.items():
        scores = card.metrics[level]
        row[name, "Accuracy"] = with_interval(scores["accuracy"])
        row[name, "Baseline"] = f"{scores['majority_baseline']:.1%}"
        row[name, "AUROC"] = with_interval(scores["auroc"], percent=False)
    return row


def _models_table(cards: dict[str, Card]) -> None:
    """Fits a window 1,000 pixels wide; the other figures are in the details of each model."""
    rows = [_row(family, cards.get(family)) for family in FAMILY_NAMES]
    groups = pd.MultiIndex.from_tuples({column: None for row in rows for column in row})
    table = pd.DataFrame(rows, columns=groups).fillna("-")
    st.dataframe(table, hide_index=True, width="stretch", height="content", key="models_table")
    st.caption(
        "Out-of-fold predictions; 95 % intervals from resampling patients in brackets. Baseline: the"
        " majority-class baseline, the accuracy of always answering with the more frequent class."
        " The details below have the other figures."
    )


def _changes(trail: list[Promotion]) -> None:
    st.subheader("Record of changes")
    if not trail:
        st.caption("No changes yet. The models are those that came with the program.")
        return
    # A static table wraps a long reason; the cells of the other kind cut it off.
    st.table(
        [
            {
                "When (UTC)": entry.when.replace("T", " ").removesuffix("+00:00"),
                "Who": plain(entry.who),
                "Action": entry.action,
                "Model": FAMILY_NAMES.get(entry.family, plain(entry.family)),
                "From": plain(entry.old or "none"),
                "To": plain(entry.new),
                "Reason": plain(entry.why),
            }
            for entry in reversed(trail)
        ],
        height="content" if len(trail) <= _CHANGES_IN_VIEW else _CHANGES_HEIGHT,
    )
    st.caption(
        "Each entry holds the hash of the entry before it, so a later edit of the record is detected"
        " and reported here."
    )


st.title("Models")
st.write("See which model of each kind is in use and how accurate it is; return to an earlier one.")
damaged_trail = None
changes: list[Promotion] = []
try:
    changes = promotions(settings().artifacts)
except BundleError as trail_error:
    damaged_trail = str(trail_error)
cards_in_use, missing = _cards()
_models_table(cards_in_use)
for missing_family, reason in missing.items():
    st.caption(f":material/block: {FAMILY_NAMES[missing_family]}: not in use. {plain(reason)}")
chosen = st.segmented_control(
    "Details and earlier releases",
    list(FAMILY_NAMES),
    format_func=FAMILY_NAMES.__getitem__,
    key="models_details",
)
if chosen:
    previous = {entry.family: entry.old or "none" for entry in changes}
    bundle_details(chosen, cards_in_use.get(chosen), previous.get(chosen, "none"))
if damaged_trail is None:
    _changes(changes)
else:
    st.error(plain(damaged_trail), icon=":material/error:")
