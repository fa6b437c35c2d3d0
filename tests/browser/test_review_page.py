"""Two readers read a session of phantoms, first without the models and then with them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_server import ROOT, running_app
from viewer_page import Viewer, create_session, wait_for_calls, write

from hemodetect.settings import settings
from hemodetect.storage import audit_trail

pytestmark = [pytest.mark.browser, pytest.mark.long]
STUDIES = 2


@pytest.fixture
def app(database: str, tmp_path: Path) -> Iterator[str]:
    """Address of the app with an empty database and separate folders."""
    variables = {
        "HEMODETECT_STATE": str(settings().state),
        "HEMODETECT_DATABASE_URL": database,
        "HEMODETECT_ARTIFACTS": str(ROOT / "artifacts"),
        "HEMODETECT_DATA": str(tmp_path),
    }
    with running_app(variables) as url:
        yield url


def opened(browser, address: str, name: str):
    """A new browser page in which the name has been entered."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(90_000)
    page.goto(address)
    write(page, "Your name", name)
    return page


def idle(page) -> None:
    """Waits until the page is drawn; an earlier click may hit an element that is replaced."""
    page.wait_for_timeout(200)
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


def read(page, number: int, call: str, confidence: str, second_call: str) -> None:
    """Calls a study without the models, and again with them."""
    page.get_by_text(f"Study {number} of {STUDIES}").wait_for()
    without = page.get_by_role("button", name="Submit, then show the models")
    without.wait_for()
    page.locator(".st-key-calls").wait_for(state="detached")
    viewer = Viewer(page)
    viewer.until("loaded", "all")
    # No output of a model is visible before the first call is submitted.
    assert not re.search(r"SVM|CNN|Threshold|uspicious", page.inner_text("[data-testid=stMain]"))
    assert without.is_disabled()
    page.get_by_role("radio", name=call, exact=True).click()
    idle(page)
    # After the click the arrow keys still change the slice, not the call.
    page.keyboard.press("ArrowRight")
    viewer.until("shown", "18")
    assert page.get_by_role("radio", name=call, exact=True).get_attribute("aria-checked") == "true"
    if call == "Hemorrhage":
        page.wait_for_timeout(500)  # the viewer reports the slice at rest
        idle(page)
        page.get_by_role("button", name="Add the slice in view").click()
        page.get_by_role("button", name=re.compile(r"^(Remove )?18")).first.wait_for()
    page.get_by_role("radio", name=confidence, exact=True).click()
    idle(page)
    without.click()  # waits until it is enabled
    page.get_by_text("Your call with the models").wait_for()
    wait_for_calls(page)
    if second_call != call:
        page.get_by_role("radio", name=second_call, exact=True).click()
        idle(page)
    page.get_by_role("button", name="Submit and continue").click()


# On PostgreSQL, which many readers need; the other pages are driven on SQLite.
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.timeout(600)
def test_two_readers_read_a_session_blind_first_and_are_compared_with_the_models(
    browser, app: str
) -> None:
    lead = opened(browser, f"{app}/review", "Lena")
    create_session(lead, "Tuesday afternoon", "Ada, Bo", STUDIES)
    lead.get_by_text("Nobody has read yet").wait_for()
    address = lead.url

    ada = opened(browser, address, "Ada")
    read(ada, 1, "Hemorrhage", "4", "Hemorrhage")
    ada.get_by_text(f"Study 2 of {STUDIES}").wait_for()
    ada.context.close()
    # On another machine the reader continues at the same study.
    ada = opened(browser, address, "Ada")
    read(ada, 2, "None", "5 (certain)", "Not sure")
    ada.get_by_text("All studies of this session are read").wait_for()
    bo = opened(browser, address, "Bo")
    for number in (1, 2):
        read(bo, number, "None", "3", "None")
    bo.get_by_text("All studies of this session are read").wait_for()
    bo.get_by_role("button", name="Report as PDF").wait_for()
    text = bo.inner_text("[data-testid=stMain]")
    assert "Ada and Bo, without models: Cohen's kappa" in text
    assert "Ada changed 1 of 2 calls after seeing the models" in text
    assert "Bo changed none of 2 calls after seeing the models" in text
    with bo.expect_download() as download:
        bo.get_by_role("button", name="All reads as CSV").click()
    lines = [
        line
        for line in Path(download.value.path()).read_text().splitlines()
        if not line.startswith("#")
    ]
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    by_people = [row for row in rows if row["kind"] == "reader"]
    assert len(by_people) == 2 * 2 * STUDIES
    assert sorted(row["call"] for row in by_people if row["by"] == "Ada") == [
        "hemorrhage", "hemorrhage", "none", "unsure",
    ]  # fmt: skip
    assert {row["slices"] for row in by_people if row["call"] == "hemorrhage"} == {"18"}
    assert len(rows) - len(by_people) == 5 * STUDIES
    with bo.expect_download() as download:
        bo.get_by_role("button", name="Report as PDF").click()
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF")
    assert "Traceback" not in bo.inner_text("body")
    bo.wait_for_timeout(1000)
    count, _ = audit_trail.verify()
    actions = [entry.action for entry in audit_trail.entries()]
    assert count == len(actions)
    assert (actions.count("session"), actions.count("read"), actions.count("export")) == (1, 8, 2)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.timeout(900)
def test_a_reader_finishes_ten_phantoms_with_wheel_and_keys_alone(browser, app: str) -> None:
    page = opened(browser, f"{app}/review", "Ada")
    create_session(page, "Ten heads", "Ada", 10)
    for number in range(1, 11):
        page.get_by_text(f"study {number} of 10").wait_for()
        idle(page)  # until then the viewer of the last study is on the screen
        viewer = Viewer(page)
        x, y = viewer.middle()
        page.mouse.move(x, y)
        before = viewer.slice
        page.mouse.wheel(0, 120)
        viewer.until("shown", str(before + 1))
        for stage, heading in (("n", "Your call"), ("b", "Your call with the models")):
            page.get_by_text(heading, exact=True).wait_for()
            if stage == "b":
                wait_for_calls(page)
            idle(page)
            Viewer(page)  # its keys are those of the page
            page.keyboard.press(stage)
            checked(page, "None" if stage == "n" else "Hemorrhage")
            page.keyboard.press("Shift+Digit3")
            checked(page, "3")
            page.keyboard.press("Control+Enter")
    page.get_by_text("All studies of this session are read").wait_for()
    actions = [entry.action for entry in audit_trail.entries()]
    assert actions.count("read") == 20


def checked(page, name: str) -> None:
    """Waits until a choice is made, and the page is drawn."""
    page.get_by_role("radio", name=name, exact=True, checked=True).wait_for()
    idle(page)
