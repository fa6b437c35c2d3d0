"""One model in detail: its bundle in use, its earlier releases, and the return to one of them."""

from __future__ import annotations

import streamlit as st

from app_pages.common.figures_table import figures_table
from app_pages.common.sign_in import ask_person
from app_pages.common.text import plain
from hemodetect.errors import BundleError, HemodetectError
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.registry.bundle import Card, read_card
from hemodetect.registry.promotion import EARLIER, rollback
from hemodetect.settings import settings


def bundle_details(family: str, card: Card | None, previous: str) -> None:
    """Shows `card`, the bundle in use of `family` (None: no usable one), and the earlier releases.

    `previous` is the version that was in use before it.
    """
    with st.container(border=True):
        earlier = _earlier_releases(family)
        if card is not None:
            earlier.pop(card.version, None)  # kept there too after a return to it
            _facts(card, previous)
        if earlier:
            _rollback_form(family, card, earlier)
            return
        if card is not None:
            figures_table({"In use": card})
        st.caption("No earlier release of this model is kept on this server.")


def _facts(card: Card, previous: str) -> None:
    st.markdown(f"**{FAMILY_NAMES[card.family]} {plain(card.version)}**")
    facts = {
        "Recipe": plain(card.recipe),
        "Trained on": f"{card.counts['slices']:,} slices of {card.counts['patients']} patient folders",
        "Threshold": f"{card.threshold:.0%}: {plain(card.threshold_reason)}",
        "Made": f"{card.created}, commit {plain(card.commit)}",
        "Previous version": plain(previous),
    }
    st.markdown("  \n".join(f"{name}: {value}" for name, value in facts.items()))
    for remark in card.remarks:
        st.caption(f":material/info: {plain(remark)}")


def _earlier_releases(family: str) -> dict[str, Card]:
    """Cards of the earlier releases by their folder's name; a damaged one cannot return."""
    cards = {}
    for folder in sorted((settings().artifacts / EARLIER / family).glob("*")):
        try:
            cards[folder.name] = read_card(folder)
        except BundleError:
            continue
    return cards


def _rollback_form(family: str, card: Card | None, earlier: dict[str, Card]) -> None:
    """The figures of the bundle in use beside those of an earlier release, and the way back to it."""
    chosen = st.selectbox(
        f"Earlier releases: {len(earlier)}", list(earlier), key=f"models_version_{family}"
    )
    in_use = {} if card is None else {"In use": card}
    figures_table(in_use | {chosen: earlier[chosen]})
    reason, name, button = st.columns([4, 3, 3], vertical_alignment="bottom")
    why = reason.text_input("Reason", key=f"models_why_{family}")
    person = ask_person(name, f"models_who_{family}")
    if button.button(
        "Use this version again",
        icon=":material/undo:",
        key=f"models_back_{family}",
        width="stretch",
    ):
        try:
            rollback(family, settings().artifacts, who=person, why=why, version=chosen)
        except (HemodetectError, OSError) as error:
            st.error(plain(str(error)), icon=":material/error:")
        else:
            st.rerun()
