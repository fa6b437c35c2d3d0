"""Signing in with a provider: who one is decides which pages there are and what they do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from app_server import free_port, running_app
from sign_in_provider import CLIENT, sign_in_provider

from hemodetect.settings import settings
from hemodetect.storage import audit_trail

pytestmark = pytest.mark.browser
PEOPLE = [
    ("rita@clinic.example", True),
    ("lena@clinic.example", True),
    ("tom@clinic.example", True),
    ("mallory@clinic.example", False),
]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The app with a sign-in, a provider beside it, and a role for three of its people."""
    port = free_port()
    secrets = tmp_path / "secrets.toml"
    with sign_in_provider(PEOPLE) as provider:
        secrets.write_text(
            "[auth]\n"
            f'redirect_uri = "http://localhost:{port}/oauth2callback"\n'
            'cookie_secret = "of the tests alone, and long enough"\n'
            f'client_id = "{CLIENT}"\n'
            'client_secret = "not one"\n'
            f'server_metadata_url = "{provider}/.well-known/openid-configuration"\n'
        )
        monkeypatch.setenv("HEMODETECT_STATE", str(tmp_path / "state"))
        settings.cache_clear()
        own = {
            "STREAMLIT_SECRETS_FILES": str(secrets),
            "HEMODETECT_ARTIFACTS": str(tmp_path),  # no model is asked for anything
            "HEMODETECT_DATA": str(tmp_path),
            "HEMODETECT_READERS": "rita@clinic.example, mallory@clinic.example",
            "HEMODETECT_LEADS": "Lena@Clinic.example",
            "HEMODETECT_TRAINERS": "tom@clinic.example, mallory@clinic.example",
        }
        with running_app(own, port):
            yield f"http://localhost:{port}"
    settings.cache_clear()


def signed_in(browser, app: str, address: str, page: str = ""):
    """A browser of their own in which somebody signed in on the way to a page."""
    opened = browser.new_context().new_page()
    opened.set_default_timeout(60_000)
    opened.goto(f"{app}/{page}")
    opened.get_by_role("button", name="Sign in").click()
    opened.get_by_role("link", name=address).click()
    opened.get_by_role("button", name="Sign out").wait_for()
    opened.get_by_text("Research use only").wait_for()
    return opened


def menu(page) -> list[str]:
    """Names of the pages in the menu, without their icons."""
    links = page.get_by_test_id("stTopNavLink").all_inner_texts()
    return [link.split()[-1] for link in links]


@pytest.mark.timeout(300)
def test_pages_are_those_of_the_person_and_nobody_else_gets_past_the_sign_in(
    browser, app: str
) -> None:
    stranger = browser.new_context().new_page()
    for page in ("", "review", "train"):
        stranger.goto(f"{app}/{page}")
        stranger.get_by_role("button", name="Sign in").wait_for(timeout=60_000)
        assert "Research use only" not in stranger.inner_text("body")
        assert menu(stranger) == []

    rita = signed_in(browser, app, "rita@clinic.example")
    assert menu(rita) == ["Read", "Review", "Compare"]
    rita.goto(f"{app}/review")
    rita.get_by_text("No session yet").wait_for()
    rita.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    assert "New session" not in rita.inner_text("body")  # leads make them
    rita.goto(f"{app}/train")
    rita.get_by_text("Page not found").wait_for()
    rita.keyboard.press("Escape")
    rita.get_by_role("button", name="Sign out rita@clinic.example").click()
    rita.get_by_role("button", name="Sign in").wait_for()
    assert menu(rita) == []

    lena = signed_in(browser, app, "lena@clinic.example")
    assert menu(lena) == ["Read", "Review", "Compare"]
    lena.goto(f"{app}/review")
    lena.get_by_text("New session").first.wait_for()
    tom = signed_in(browser, app, "tom@clinic.example")
    assert menu(tom) == ["Read", "Compare", "Train", "Models"]
    # The provider does not say that the address is hers, so she has none of its roles.
    mallory = signed_in(browser, app, "mallory@clinic.example")
    assert menu(mallory) == ["Read", "Compare"]

    entries = [entry for entry in audit_trail.entries() if entry.action == "sign-in"]
    assert [entry.who for entry in entries] == [
        *(f"{name}@clinic.example" for name in ("rita", "lena", "tom")),
        "sub:mallory@clinic.example",
    ]
