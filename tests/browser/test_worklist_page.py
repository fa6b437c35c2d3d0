"""From a scanner to the top of the worklist, on the screen, and back into the PACS."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from app_server import ROOT, running_app
from pacs_peers import PASSWORD, USER, Orthanc, free_port, patient_files, small_phantom

from hemodetect.phantom.head import Bleed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
sync_api = pytest.importorskip("playwright.sync_api")

WAIT_MS = 120_000


@pytest.fixture(scope="module")
def variables(orthanc: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings of receiver, models and app."""
    return {
        "HEMODETECT_STATE": str(tmp_path_factory.mktemp("worklist")),
        "HEMODETECT_RECEIVE_FROM": "SCANNER@127.0.0.1",
        "HEMODETECT_RECEIVE_PORT": str(free_port()),
        "HEMODETECT_DICOMWEB_URL": orthanc.dicomweb,
        "HEMODETECT_DICOMWEB_USER": USER,
        "HEMODETECT_DICOMWEB_PASSWORD": PASSWORD,
        "HEMODETECT_SEND_TO": "dicomweb",
    }


@contextmanager
def _command(name: str, ready: str, variables: Mapping[str, str]) -> Iterator[None]:
    """A command of ours as a process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hemodetect", name],
        cwd=ROOT, env=os.environ | dict(variables), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert ready in line, line
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def hospital(variables: dict[str, str]) -> Iterator[str]:
    """Address of the app, beside a receiver and the models."""
    with (
        _command("receive", "listens on port", variables),
        _command("judge", "models read what waits", variables),
        running_app(variables) as url,
    ):
        yield url


@pytest.fixture
def page(browser: Browser, hospital: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    opened = context.new_page()
    opened.set_default_timeout(WAIT_MS)
    opened.goto(f"{hospital}/worklist")
    opened.get_by_role("heading", name="Worklist").wait_for()
    name = opened.get_by_role("textbox", name="Your name")
    name.fill("Dr. Weiss")
    name.press("Enter")
    yield opened
    context.close()


def _send(files: Mapping[str, bytes], folder: Path, variables: Mapping[str, str]) -> None:
    """Sends a series as a scanner does, with dcmtk's storescu."""
    program = shutil.which("storescu")
    if program is None:
        if os.environ.get("HEMODETECT_REQUIRE_ORTHANC"):
            pytest.fail("storescu is not installed (apt-get install dcmtk)")
        pytest.skip("storescu is not installed (apt-get install dcmtk)")
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    subprocess.run(
        [program, "-aet", "SCANNER", "-aec", "HEMODETECT", "+sd", "127.0.0.1",
         variables["HEMODETECT_RECEIVE_PORT"], str(folder)],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip


def _rows(page: Page) -> list[str]:
    rows = page.locator(".st-key-worklist_rows [data-testid=stHorizontalBlock]").all()
    return [row.inner_text() for row in rows if "study-" in row.inner_text()]


def _send_back(page: Page, orthanc: Orthanc, patient: str) -> None:
    """Sends the results of the open study, and finds them in Orthanc under the right patient."""
    page.get_by_role("button", name="Export").click()
    page.get_by_text("Under the patient's own name").click()
    page.get_by_role("button", name="Send results to the PACS").click()
    page.get_by_text("will be sent").wait_for()
    deadline = time.monotonic() + 60
    while not (found := orthanc.instances(PatientID=patient, Modality="SR")):
        assert time.monotonic() < deadline, "no report arrived"
        time.sleep(0.5)
    (report,) = found
    assert report["tags"]["PatientName"] == "Müller^Anna"
    assert report["tags"]["AccessionNumber"] == f"A{patient}"


def test_a_sent_study_rises_to_the_top_is_read_and_its_report_goes_back(
    page: Page, variables: dict[str, str], orthanc: Orthanc, tmp_path: Path
) -> None:
    quiet = patient_files(small_phantom(seed=2), patient="quiet-2")
    bleeding = patient_files(small_phantom((Bleed("intraparenchymal", 60),)), patient="loud-2")
    _send(quiet, tmp_path / "quiet", variables)
    _send(bleeding, tmp_path / "loud", variables)
    # Nothing is clicked: the list renews itself.
    judged = page.get_by_text(re.compile(r"\d of 5 call|^cannot tell$"))
    sync_api.expect(judged).to_have_count(2, timeout=WAIT_MS)
    sync_api.expect(page.get_by_text("2 studies to read")).to_be_visible()
    first, second = _rows(page)
    assert _percent(first) > _percent(second)
    text = page.locator("body").inner_text()
    assert not [word for word in ("Müller", "Anna", "loud-2", "1950") if word in text]
    study = re.search(r"study-[0-9a-f]{10}", first).group()
    page.get_by_role("button", name="Open").first.click()
    page.locator('[data-testid="slice-viewer"][data-shown]').wait_for()
    page.locator(".st-key-calls").get_by_text(re.compile(r"of \d+ slice")).first.wait_for()
    sync_api.expect(page.get_by_text(study).first).to_be_visible()
    _send_back(page, orthanc, "loud-2")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Done").click()
    page.get_by_role("heading", name="Worklist").wait_for()
    sync_api.expect(page.get_by_text("1 study to read")).to_be_visible()
    page.get_by_text("All", exact=True).click()
    sync_api.expect(page.get_by_text("Read by Dr. Weiss")).to_be_visible()


def _percent(row: str) -> int:
    return int(re.search(r"(\d+)%", row).group(1))


@pytest.mark.long
def test_a_study_is_searched_in_the_pacs_read_and_its_report_goes_back(
    page: Page, hospital: str, orthanc: Orthanc
) -> None:
    patient = "pulled-2"
    orthanc.keep(
        patient_files(small_phantom((Bleed("intraparenchymal", 60),), seed=3), patient=patient)
    )
    page.goto(hospital)
    page.get_by_role("textbox", name="Patient ID").fill(patient)
    page.get_by_role("button", name="Search").click()
    page.get_by_text("Müller^Anna").wait_for()
    page.get_by_role("button", name="Series").click()
    page.get_by_text("proposed").wait_for()
    page.get_by_role("button", name="Open", exact=False).filter(
        has_text=re.compile("Open$")
    ).first.click()
    page.locator('[data-testid="slice-viewer"][data-shown]').wait_for()
    page.locator(".st-key-calls").get_by_text(re.compile(r"of \d+ slice")).first.wait_for()
    assert "Müller" not in page.locator("body").inner_text()
    _send_back(page, orthanc, patient)


@pytest.mark.long
def test_two_people_see_who_has_a_study(
    page: Page, browser: Browser, hospital: str, variables: dict[str, str], tmp_path: Path
) -> None:
    _send(patient_files(small_phantom(seed=1), patient="both-2"), tmp_path / "both", variables)
    page.get_by_text(re.compile(r"\d of 5 call")).first.wait_for()
    page.get_by_role("button", name="Open").first.click()
    page.locator('[data-testid="slice-viewer"][data-shown]').wait_for()
    other = browser.new_context(viewport={"width": 1024, "height": 768}).new_page()
    other.set_default_timeout(WAIT_MS)
    other.goto(f"{hospital}/worklist")
    other.get_by_text("Dr. Weiss, just now").wait_for()
    other.get_by_role("button", name="Open").first.click()
    other.get_by_text("Dr. Weiss has this study.").wait_for()
    other.context.close()
