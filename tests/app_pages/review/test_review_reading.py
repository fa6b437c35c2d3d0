"""The page of a study that cannot be opened, run without a browser."""

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
    """Ada's page of the session in the state."""
    import streamlit as st

    from app_pages.review.reading import reading
    from hemodetect.storage.people import local_person

    reading(st.session_state["session"], local_person("Ada"), st.container())


def opened(*sources: Source) -> tuple[AppTest, ReviewSession]:
    session = create(
        local_person("Lena"), "t", [(s, None) for s in sources], ["Ada"], "blind-first"
    )
    app = AppTest.from_function(page, default_timeout=60)
    app.session_state["session"] = session
    return app.run(), session


def test_a_reader_skips_deleted_studies_and_it_is_recorded() -> None:
    saved_studies().mkdir(parents=True)
    app, session = opened(Saved("0" * 24), Saved("1" * 24))
    assert "removed at the end of their retention time" in app.error[0].value
    app.button(key="review_skip").click().run()
    assert len(skips(session.id)) == 1
    app.button(key="review_skip").click().run()
    assert not app.error
    assert app.success[0].value.endswith("2 could not be opened.")
    assert [entry.action for entry in audit_trail.entries()] == ["session", "skip", "skip"]


def test_a_study_that_may_come_back_cannot_be_skipped() -> None:
    app, session = opened(OfSet("away", "p1"))
    assert "The set away is not on this server" in app.error[0].value
    assert [button.label for button in app.button] == ["Try again"]
    app.button(key="review_again").click().run()
    assert skips(session.id) == []
    assert not app.exception
