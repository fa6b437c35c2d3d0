"""Worklist: studies from scanners and the PACS, in the order to read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import streamlit as st

from app_pages.common.sign_in import ask_person
from app_pages.common.text import counted, plain
from app_pages.worklist.opening import open_from_worklist
from hemodetect.errors import HemodetectError
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.pacs.judging import is_judging
from hemodetect.pacs.worklist import Entry, entries, finish, give_back
from hemodetect.storage.people import Person

EVERY_SECONDS = 5
PER_PAGE = 20
TO_READ, ALL, MINE = "To read", "All", "Mine"
_COLUMNS = (1.1, 1.3, 1.1, 5.6, 1.9)
_STYLE = """<style>
.st-key-worklist_rows p { margin: 0; line-height: 1.35; }
.st-key-worklist_rows [data-testid="stMarkdownContainer"] { margin-bottom: 0; }
.st-key-worklist_rows [data-testid="stHorizontalBlock"] { gap: 0.75rem; }
.st-key-worklist_rows > div > .stVerticalBlock { padding: 0.5rem 0.75rem; }
.st-key-worklist_rows .stVerticalBlock { gap: 0.25rem; }
.st-key-worklist_rows button { min-height: 2rem; padding: 0 0.6rem; }
</style>"""


def worklist_page() -> None:
    """The whole page."""
    title, name = st.columns([3, 1], vertical_alignment="center")
    title.title("Worklist")
    person = ask_person(name, "worklist_name")
    st.caption(
        "Most suspicious first, by the mean of the models' probabilities for the patient. Studies that"
        " no model could judge stand at the top. A place low in the list does not mean that there is no"
        " hemorrhage: read every study."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shown = st.segmented_control(
            "Show", [TO_READ, MINE, ALL], default=TO_READ, required=True, key="worklist_shown",
            label_visibility="collapsed",
        )  # fmt: skip
        looked_for = st.text_input(
            "Find", key="worklist_find", placeholder="Study or sender", width=240,
            label_visibility="collapsed",
        )  # fmt: skip
    _rows(str(shown), looked_for.strip().lower(), person)


@st.fragment(run_every=EVERY_SECONDS)
def _rows(shown: str, looked_for: str, person: Person) -> None:
    """The list; it is renewed without a click."""
    st.html(_STYLE)
    try:
        listed = entries()
    except HemodetectError as error:
        st.error(str(error), icon=":material/error:")
        return
    chosen = [entry for entry in listed if _is_shown(entry, shown, looked_for, person)]
    st.markdown(_summary(listed))
    if any(not entry.is_ended for entry in listed) and not is_judging():
        st.warning(
            "The models are not running on this server, so new studies are not judged. Start"
            " `hemodetect judge`, or read the studies without them.",
            icon=":material/power_off:",
        )
    if not chosen:
        st.caption(
            "No study is here yet. Studies come from `hemodetect receive`, or from the PACS on the page"
            " Read; the models read them in `hemodetect judge`."
            if not listed
            else "No study fits."
        )
        return
    pages = -(-len(chosen) // PER_PAGE)
    page = 1
    if pages > 1:
        st.session_state["worklist_page"] = min(st.session_state.get("worklist_page", 1), pages)
        page = int(st.number_input(f"Page (of {pages})", 1, pages, key="worklist_page", width=160))
    in_view = chosen[(page - 1) * PER_PAGE : page * PER_PAGE]
    with st.container(key="worklist_rows"):
        for entry in in_view:
            _row(entry, person)


def _is_shown(entry: Entry, shown: str, looked_for: str, person: Person) -> bool:
    if shown == TO_READ and entry.done is not None:
        return False
    if shown == MINE and person.name not in (entry.taken_by, entry.done_by):
        return False
    return looked_for in entry.study.lower() or looked_for in entry.source.lower()


def _summary(listed: Sequence[Entry]) -> str:
    """One line: how much there is to read, and how far the models are."""
    to_read = [entry for entry in listed if entry.done is None]
    top = sum(bool(entry.not_judged_reason) for entry in to_read)
    waiting = sum(not entry.is_ended for entry in to_read)
    parts = [f"**{counted(len(to_read), 'study', 'studies')} to read**"]
    if top:
        parts.append(f":orange[:material/help: {top} not judged by the models]")
    if waiting:
        parts.append(f":material/hourglass: {waiting} still to be judged")
    return " · ".join(parts)


def _row(entry: Entry, person: Person) -> None:
    with st.container(border=True):
        open_, score, age, about, who = st.columns(_COLUMNS, vertical_alignment="center")
        with open_:
            _open_button(entry, person)
        score.markdown(_score(entry))
        sender = plain(entry.source.partition("@")[0])
        age.markdown(f"{_age(entry.received)}  \n:small[:gray[{sender}]]")
        about.markdown(_about(entry))
        with who:
            _who(entry, person)


def _score(entry: Entry) -> str:
    if entry.not_judged_reason:
        return ":orange[:material/help: **Not judged**]"
    if entry.score is None:
        return {
            "arriving": ":material/downloading: Arriving",
            "waiting": ":material/hourglass: Waiting",
        }.get(entry.state, ":material/hourglass: Being judged")
    decided = [answer for answer in entry.answers.values() if not answer["undecided"]]
    called = sum(answer["call"] == "hemorrhage" for answer in decided)
    mark = f":red[:material/error: **{entry.score:.0%}**]" if called else f"**{entry.score:.0%}**"
    calls = f"{called} of {len(entry.answers)} call" if decided else ":orange[cannot tell]"
    return f"{mark}  \n:small[{calls}]"


def _about(entry: Entry) -> str:
    images = counted(entry.slices, "slice") if entry.slices else counted(entry.files, "file")
    lines = [f"{entry.study} :small[:gray[{images}]]"]
    if entry.not_judged_reason:
        lines.append(f":small[{plain(entry.not_judged_reason)}]")
    elif entry.answers:
        lines.append(f":small[{' · '.join(_call(*pair) for pair in entry.answers.items())}]")
    if entry.cautions:
        more = f" (+{len(entry.cautions) - 1})" if len(entry.cautions) > 1 else ""
        lines.append(f":small[:orange[:material/warning:] {plain(entry.cautions[0])}{more}]")
    return "  \n".join(lines)


def _call(family: str, answer: dict) -> str:
    name = FAMILY_NAMES.get(family, family)
    if answer["undecided"]:
        return f"{name} cannot tell"
    if answer["call"] == "hemorrhage":
        return f":red[{name} **{answer['patient']:.0%}**]"
    return f"{name} {answer['patient']:.0%}"


def _who(entry: Entry, person: Person) -> None:
    if entry.done is not None:
        st.markdown(f":material/check_circle: Read by {plain(entry.done_by)}")
        return
    if not entry.taken_by:
        return
    if entry.taken_by != person.name:
        since = f", {_age(entry.taken)}" if entry.taken else ""
        st.markdown(f":blue[:material/person:] {plain(entry.taken_by)}{since}")
        return
    with st.container(horizontal=True, gap="small"):
        if st.button("Done", key=f"worklist_done_{entry.study}", icon=":material/check:"):
            _change(lambda: finish(entry.study, person, entry.files))
        if st.button("Give back", key=f"worklist_back_{entry.study}", type="tertiary"):
            _change(lambda: give_back(entry.study, person))


def _open_button(entry: Entry, person: Person) -> None:
    others = entry.taken_by not in ("", person.name)
    if not entry.files:
        st.button("Open", key=f"worklist_open_{entry.study}", disabled=True, width="stretch")
        return
    if not others:
        if st.button(
            "Open", key=f"worklist_open_{entry.study}", icon=":material/open_in_full:",
            width="stretch",
        ):  # fmt: skip
            _open(entry, person, from_other=False)
        return
    with st.popover("Open", icon=":material/open_in_full:", width="stretch"):
        st.write(f"{plain(entry.taken_by)} has this study.")
        if st.button("Take it over", key=f"worklist_take_{entry.study}"):
            _open(entry, person, from_other=True)


def _open(entry: Entry, person: Person, *, from_other: bool) -> None:
    try:
        open_from_worklist(entry, person, from_other=from_other)
    except (HemodetectError, OSError) as error:
        st.error(str(error), icon=":material/error:")
        return
    st.switch_page("app_pages/read/read.py")


def _change(act: Callable[[], None]) -> None:
    try:
        act()
    except HemodetectError as error:
        st.error(str(error), icon=":material/error:")
        return
    st.rerun()


def _age(moment: datetime | None) -> str:
    if moment is None:
        return ""
    minutes = int((datetime.now(UTC) - moment).total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours < 24 else f"{counted(hours // 24, 'day')}"


worklist_page()
