"""The models in use, those before them, and who changed what and why."""

from __future__ import annotations

import streamlit as st

from hemodetect.errors import BundleError, HemodetectError
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.registry.bundle import Card, read_card
from hemodetect.registry.promotion import EARLIER, RELEASES, promotions, rollback
from hemodetect.settings import settings
from pages.common.metrics_table import metrics_table
from pages.common.sign_in import ask_person
from pages.common.text import plain


def _family(family: str) -> None:
    artifacts = settings().artifacts
    st.subheader(FAMILY_NAMES[family])
    try:
        card = read_card(artifacts / RELEASES / family)
    except BundleError as error:
        st.caption(f":material/block: Not in use. {plain(str(error).replace(f'{artifacts}/', ''))}")
    else:
        st.caption(
            f"{card.version}; recipe {card.recipe}, trained on {card.counts['slices']:,} slices of"
            f" {card.counts['patients']} patient folders, made {card.created}; calls hemorrhage from"
            f" {card.threshold:.0%} ({plain(card.threshold_reason)}); commit {card.commit}"
        )
        metrics_table({"in use": card})
        for remark in card.remarks:
            st.caption(f":material/info: {plain(remark)}")
    earlier = _earlier(family)
    if earlier:
        _rollback(family, earlier)


def _earlier(family: str) -> dict[str, Card]:
    found = {}
    for folder in sorted((settings().artifacts / EARLIER / family).glob("*")):
        try:
            found[folder.name] = read_card(folder)
        except BundleError:
            continue  # damaged: it cannot come back, and the folder says so itself
    return found


def _rollback(family: str, earlier: dict[str, Card]) -> None:
    with st.expander(f"Earlier: {len(earlier)}", icon=":material/history:"):
        metrics_table(earlier)
        version, why, name, button = st.columns([3, 3, 2, 2], vertical_alignment="bottom")
        chosen = version.selectbox("Version", list(earlier), key=f"models_version_{family}")
        reason = why.text_input("Why", key=f"models_why_{family}")
        asking = ask_person(name, f"models_who_{family}")
        if button.button(
            "Put back into use",
            icon=":material/undo:",
            key=f"models_back_{family}",
            width="stretch",
        ):
            try:
                rollback(family, settings().artifacts, who=asking, why=reason, version=str(chosen))
            except (HemodetectError, OSError) as error:
                st.error(str(error), icon=":material/error:")
            else:
                st.rerun()


def _trail() -> None:
    st.subheader("What was changed, by whom and why")
    try:
        trail = promotions(settings().artifacts)
    except BundleError as error:
        st.error(str(error), icon=":material/error:")
        return
    if not trail:
        st.caption("Nothing yet: the models are those that came with the program.")
        return
    st.dataframe(
        [
            {
                "When (UTC)": entry.when,
                "Who": entry.who,
                "What": entry.action,
                "Model": FAMILY_NAMES.get(entry.family, entry.family),
                "From": entry.old or "none",
                "To": entry.new,
                "Why": entry.why,
            }
            for entry in reversed(trail)
        ],
        hide_index=True,
        width="stretch",
    )
    st.caption("Each entry holds the hash of the one before it; a changed one would be named here.")


st.title("Models")
for key in FAMILY_NAMES:
    _family(key)
_trail()
