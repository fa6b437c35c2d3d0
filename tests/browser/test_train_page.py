"""From a data set to a model in use, and back, in the browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from viewer_page import wait_for_calls

from hemodetect.models.families import FAMILY_NAMES

pytestmark = [pytest.mark.browser, pytest.mark.long]


@pytest.fixture
def page(browser, address: str) -> Iterator[object]:
    browser_page = browser.new_page(viewport={"width": 1440, "height": 900})
    browser_page.set_default_timeout(90_000)
    yield browser_page
    browser_page.close()


def write(page, label: str, text: str, nth: int = 0) -> None:
    box = page.get_by_role("textbox", name=label, exact=True).nth(nth)
    box.fill(text)
    box.press("Enter")


def test_a_set_is_uploaded_audited_and_removed(
    page, address: str, blob_folder: Path, tmp_path: Path
) -> None:
    packed = shutil.make_archive(str(tmp_path / "set"), "zip", blob_folder)
    page.goto(f"{address}/train")
    page.get_by_text("Upload a data set").click()
    page.set_input_files("input[type=file]", packed)
    write(page, "Name of the data set", blob_folder.name)
    page.get_by_role("button", name="Save").click()
    page.get_by_text(f"A set {blob_folder.name} exists already").wait_for()
    write(page, "Name of the data set", "from-the-ward")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Remove this data set").wait_for()
    page.get_by_role("button", name="Audit this data set").click()
    page.get_by_text("Slices as the networks").wait_for()
    page.get_by_role("button", name="Remove this data set").click()
    page.get_by_text(re.compile("from-the-ward is an uploaded")).wait_for()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.get_by_role("button", name="Remove this data set").wait_for(state="detached")


@pytest.mark.timeout(600)
def test_a_model_is_trained_put_into_use_and_replaced_by_the_earlier_one(
    page, address: str
) -> None:
    page.goto(f"{address}/train")
    page.get_by_role("button", name="Audit this data set").click()
    page.get_by_text("Slices as the networks").wait_for()
    page.get_by_role("radio", name="Custom").click()
    write(page, "Folds", "11")
    write(page, "Your name", "Ada")
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_text("expected 2 to 10").wait_for()
    write(page, "Folds", "2")
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_text(re.compile(r"Queued|Running|Finished")).first.wait_for()
    # A training takes most of a minute, and longer beside other tests.
    page.get_by_role("heading", name=re.compile(r"SVM paper-")).wait_for(timeout=240_000)
    version = page.get_by_role("heading", name=re.compile(r"SVM paper-")).inner_text().split()[1]
    # The model in use was trained on other data, so the page measures both on this set.
    page.get_by_text("By patient:").first.wait_for(timeout=240_000)
    confirm = page.get_by_role("textbox", name=re.compile("type its version"))
    if confirm.count():
        assert page.get_by_role("button", name="Put into use").is_disabled()
        confirm.fill(version)
        confirm.press("Enter")

    page.get_by_role("button", name="Put into use").click()
    page.get_by_text("needs a reason").wait_for()
    write(page, "Reason", "a test of the way into use")
    page.get_by_role("button", name="Put into use").click()
    page.get_by_text("In use.").wait_for()

    page.goto(address)
    page.get_by_role("button", name="Open the example").click()
    wait_for_calls(page)
    page.locator(".st-key-calls").get_by_test_id("stTooltipIcon").first.hover()
    page.get_by_text(version).first.wait_for()

    page.goto(f"{address}/models")
    page.get_by_text("a test of the way into use").wait_for(state="attached")
    for name in FAMILY_NAMES.values():
        assert page.get_by_role("radio", name=name, exact=True).count() == 1
    page.get_by_role("radio", name="SVM", exact=True).click()
    page.get_by_text("Earlier releases: 1").wait_for()
    write(page, "Reason", "the test is over")
    write(page, "Your name", "Ada")
    page.get_by_role("button", name="Use this version again").click()
    page.get_by_text("the test is over").wait_for(state="attached")
    assert "Traceback" not in page.inner_text("body")
