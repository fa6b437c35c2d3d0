"""Sign-in with a provider: the roles of a person decide which pages they see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from app_server import free_port, running_app
from sign_in_provider import CLIENT, sign_in_provider

from hemodetect.settings import settings
from hemodetect.storage import audit_trail

pytestmark = [pytest.mark.browser, pytest.mark.long]
PEOPLE = [
    ("rita@clinic.example", True),
    ("lena@clinic.example", True),
    ("tom@clinic.example", True),
    ("mallory@clinic.example", False),
]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of an app with sign-in and a provider; four people have roles."""
    port = free_port()
    secrets = tmp_path / "secrets.toml"
    with sign_in_provider(PEOPLE) as provider:
        secrets.write_text(
            "[auth]\n"
            f'redirect_uri = "http://localhost:{port}/oauth2callback"\n'
            'cookie_secret = "only for these tests, and long enough"\n'
            f'client_id = "{CLIENT}"\n'
            'client_secret = "not one"\n'
            f'server_metadata_url = "{provider}/.well-known/openid-configuration"\n'
        )
        monkeypatch.setenv("HEMODETECT_STATE", str(tmp_path / "state"))
        settings.cache_clear()
        variables = {
            "STREAMLIT_SECRETS_FILES": str(secrets),
            "HEMODETECT_ARTIFACTS": str(tmp_path),  # no model is used
            "HEMODETECT_DATA": str(tmp_path),
            "HEMODETECT_READERS": "rita@clinic.example, mallory@clinic.example",
            "HEMODETECT_LEADS": "Lena@Clinic.example",
            "HEMODETECT_TRAINERS": "tom@clinic.example, mallory@clinic.example",
        }
        with running_app(variables, port):
            yield f"http://localhost:{port}"
    settings.cache_clear()


def signed_in(browser, app: str, address: str, page: str = ""):
    """A new browser page in which the person has signed in."""
    browser_page = browser.new_context().new_page()
    browser_page.set_default_timeout(60_000)
    browser_page.goto(f"{app}/{page}")
    browser_page.get_by_role("button", name="Sign in").click()
    browser_page.get_by_role("link", name=address).click()
    browser_page.get_by_role("button", name="Sign out").wait_for()
    browser_page.get_by_text("Research use only").wait_for()
    return browser_page


def menu(page) -> list[str]:
    """Names of the pages in the menu, without their icons."""
    links = page.get_by_test_id("stTopNavLink").all_inner_texts()
    return [link.split()[-1] for link in links]


@pytest.mark.timeout(300)
def test_people_see_the_pages_of_their_roles_and_strangers_see_none(browser, app: str) -> None:
    stranger = browser.new_context().new_page()
    for page in ("", "review", "train"):
        stranger.goto(f"{app}/{page}")
        stranger.get_by_role("button", name="Sign in").wait_for(timeout=60_000)
        assert "Research use only" not in stranger.inner_text("body")
        assert menu(stranger) == []

    rita = signed_in(browser, app, "rita@clinic.example")
    assert menu(rita) == ["Read", "Worklist", "Review", "Compare"]
    rita.goto(f"{app}/review")
    rita.get_by_text("No session yet").wait_for()
    rita.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    assert "New session" not in rita.inner_text("body")  # only leads create sessions
    rita.goto(f"{app}/train")
    rita.get_by_text("Page not found").wait_for()
    rita.keyboard.press("Escape")
    rita.get_by_role("button", name="Sign out rita@clinic.example").click()
    rita.get_by_role("button", name="Sign in").wait_for()
    assert menu(rita) == []

    lena = signed_in(browser, app, "lena@clinic.example")
    assert menu(lena) == ["Read", "Worklist", "Review", "Compare"]
    lena.goto(f"{app}/review")
    lena.get_by_text("New session").first.wait_for()
    tom = signed_in(browser, app, "tom@clinic.example")
    assert menu(tom) == ["Read", "Compare", "Train", "Models"]
    # The provider has not verified this address, so the person gets none of its roles.
    mallory = signed_in(browser, app, "mallory@clinic.example")
    assert menu(mallory) == ["Read", "Compare"]

    entries = [entry for entry in audit_trail.entries() if entry.action == "sign-in"]
    assert [entry.who for entry in entries] == [
        *(f"{name}@clinic.example" for name in ("rita", "lena", "tom")),
        "sub:mallory@clinic.example",
    ]
