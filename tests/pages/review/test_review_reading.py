"""The page of a study that is not there, run without a browser."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from hemodetect.reviews.saved import saved_studies
from hemodetect.reviews.session import ReviewSession
from hemodetect.reviews.sessions import create, skips
from hemodetect.reviews.sources import OfSet, Saved, Source
from hemodetect.storage import audit_trail
from hemodetect.storage.people import local_person

pytestmark = pytest.mark.usefixtures("database")


def page() -> None:
    """What Ada sees of the session in the state."""
    import streamlit as st

    from hemodetect.storage.people import local_person
    from pages.review.reading import reading

    reading(st.session_state["of"], local_person("Ada"), st.container())


def opened(*sources: Source) -> tuple[AppTest, ReviewSession]:
    made = create(local_person("Lena"), "t", [(s, None) for s in sources], ["Ada"], "blind-first")
    seen = AppTest.from_function(page, default_timeout=60)
    seen.session_state["of"] = made
    return seen.run(), made


def test_a_reader_goes_past_studies_that_are_gone_and_it_is_kept() -> None:
    saved_studies().mkdir(parents=True)
    seen, made = opened(Saved("0" * 24), Saved("1" * 24))
    assert "removed at the end of their retention time" in seen.error[0].value
    seen.button(key="review_skip").click().run()
    assert len(skips(made.id)) == 1
    seen.button(key="review_skip").click().run()
    assert not seen.error
    assert seen.success[0].value.endswith("2 could not be opened.")
    assert [entry.action for entry in audit_trail.entries()] == ["session", "skip", "skip"]


def test_what_may_come_back_is_not_skipped() -> None:
    seen, made = opened(OfSet("away", "p1"))
    assert "The set away is not on this server" in seen.error[0].value
    assert [button.label for button in seen.button] == ["Try again"]
    seen.button(key="review_again").click().run()
    assert skips(made.id) == []
    assert not seen.exception
