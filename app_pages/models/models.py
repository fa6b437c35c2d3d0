"""Models: the bundles in use, their earlier releases, and the record of changes."""

from __future__ import annotations

import streamlit as st

from app_pages.common.metrics_table import with_interval
from app_pages.common.text import plain
from app_pages.models.bundle_details import bundle_details
from hemodetect.errors import BundleError
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.registry.bundle import Card, read_card
from hemodetect.registry.promotion import RELEASES, Promotion, promotions
from hemodetect.settings import settings


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


def _row(family: str, card: Card | None, previous: str) -> dict[str, str]:
    row = {"Model": FAMILY_NAMES[family], "In use": "none", "Previous": previous}
    if card is None:
        return row
    by_slice, by_patient = card.metrics["slice"], card.metrics["patient"]
    return row | {
        "In use": card.version,
        "Accuracy by slice": with_interval(by_slice["accuracy"]),
        "Baseline by slice": f"{by_slice['majority_baseline']:.1%}",
        "Accuracy by patient": with_interval(by_patient["accuracy"]),
        "Baseline by patient": f"{by_patient['majority_baseline']:.1%}",
        "Balanced by patient": with_interval(by_patient["balanced_accuracy"]),
        "AUROC by slice": with_interval(by_slice["auroc"], percent=False),
        "AUROC by patient": with_interval(by_patient["auroc"], percent=False),
        "Made": card.created,
    }


def _models_table(cards: dict[str, Card], trail: list[Promotion]) -> None:
    previous = {entry.family: entry.old or "none" for entry in trail}
    st.dataframe(
        [_row(family, cards.get(family), previous.get(family, "none")) for family in FAMILY_NAMES],
        hide_index=True,
        width="stretch",
        key="models_table",
    )
    st.caption(
        "Out-of-fold predictions; 95 % intervals from resampling patients in brackets. Baseline: the"
        " majority-class baseline, the accuracy of always answering with the more frequent class."
        " Balanced: balanced accuracy."
    )


def _changes(trail: list[Promotion]) -> None:
    st.subheader("Record of changes")
    if not trail:
        st.caption("No changes yet. The models are those that came with the program.")
        return
    st.dataframe(
        [
            {
                "When (UTC)": entry.when,
                "Who": entry.who,
                "Action": entry.action,
                "Model": FAMILY_NAMES.get(entry.family, entry.family),
                "From": entry.old or "none",
                "To": entry.new,
                "Reason": entry.why,
            }
            for entry in reversed(trail)
        ],
        hide_index=True,
        width="stretch",
        key="models_changes",
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
_models_table(cards_in_use, changes)
for missing_family, reason in missing.items():
    st.caption(f":material/block: {FAMILY_NAMES[missing_family]}: not in use. {plain(reason)}")
chosen = st.segmented_control(
    "Details and earlier releases",
    list(FAMILY_NAMES),
    format_func=FAMILY_NAMES.__getitem__,
    key="models_details",
)
if chosen:
    bundle_details(chosen, cards_in_use.get(chosen))
if damaged_trail is None:
    _changes(changes)
else:
    st.error(plain(damaged_trail), icon=":material/error:")
