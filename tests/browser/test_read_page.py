"""The Read page as a radiologist uses it: a folder is uploaded, and five calls are shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from viewer_page import wait_for_calls

from hemodetect.models.families import FAMILY_NAMES
from hemodetect.phantom.files import (
    dicom_files,
    picture_files,
    write_dicom_series,
    write_pictures,
)
from hemodetect.phantom.head import Bleed, head_phantom

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser, address: str) -> Iterator[object]:
    browser_page = browser.new_page(viewport={"width": 1440, "height": 900})
    browser_page.set_default_timeout(90_000)
    requested: list[str] = []
    browser_page.on("request", lambda request: requested.append(request.url))
    browser_page.goto(address)
    browser_page.get_by_role("heading", name="Read a study").wait_for()
    yield browser_page
    browser_page.close()
    # Nothing is fetched from another machine, and nothing sent there.
    assert {urlsplit(url).hostname for url in requested} - {None} == {"127.0.0.1"}


def test_a_phantom_folder_gives_five_calls(page, tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    phantom = head_phantom([Bleed("epidural", 40)], slices=8, size=256, pixel_spacing_mm=0.9)
    write_dicom_series(phantom, folder)
    (folder / "notes.dcm").write_text("this is no image")
    page.locator("input[type=file]").first.set_input_files(folder)
    wait_for_calls(page)
    page.get_by_text("1 file could not be read").wait_for()
    text = page.inner_text("[data-testid=stMain]")
    for name in FAMILY_NAMES.values():
        assert name in text
    lines = page.inner_text(".st-key-calls").splitlines()
    calls = [line for line in lines if re.search("Hemorrhage|No hemorrhage|Cannot tell", line)]
    assert len(calls) == 5
    numbers = [line for line in lines if re.search(r"[<≥] 50% · \d of 8 slices", line)]
    assert len(numbers) == 5
    assert "1 file could not be read" in text
    assert "Research use only" in text
    assert "Traceback" not in text


def test_a_folder_without_images_gets_a_sentence(page, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "letter.pdf").write_bytes(b"%PDF-1.4 nothing")
    page.locator("input[type=file]").first.set_input_files(tmp_path / "letters")
    alert = page.get_by_role("alert").first
    alert.wait_for()
    assert len(alert.inner_text()) > 20
    assert "Traceback" not in page.inner_text("body")
    # The page accepts another folder.
    write_pictures(head_phantom(slices=4, size=256, pixel_spacing_mm=0.9), tmp_path / "scan")
    page.locator("input[type=file]").first.set_input_files(tmp_path / "scan")
    page.locator(".st-key-calls").get_by_text(re.compile(r"\d of 4 slices")).first.wait_for()


def test_a_folder_is_sent_in_one_request_and_the_page_says_so(page, tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    folder.mkdir()
    for number in range(120):
        Image.fromarray(np.full((32, 32), number, np.uint8)).save(folder / f"{number}.png")
    held: list[object] = []
    page.route("**/viewer/*/files", lambda route: held.append(route))
    page.locator("input[type=file]").first.set_input_files(folder)
    page.get_by_text("Sending 120 files").wait_for()
    assert page.get_by_role("button", name="Choose a folder").is_disabled()
    while not held:
        page.wait_for_timeout(50)
    (request,) = held
    request.continue_()
    page.get_by_text("120 pictures").first.wait_for()


def test_files_that_are_dropped_are_read(page) -> None:
    content = picture_files(head_phantom(slices=1, size=256, pixel_spacing_mm=0.9), ".png")[0][1]
    page.evaluate(
        """async (bytes) => {
          const file = new File([new Uint8Array(bytes)], "dropped_1.png", {type: "image/png"});
          const transfer = new DataTransfer();
          transfer.items.add(file);
          const find = (root) => {
            const element = root.querySelector('[data-testid="study-sender"]');
            if (element) return element;
            for (const one of root.querySelectorAll("*")) {
              const inside = one.shadowRoot && find(one.shadowRoot);
              if (inside) return inside;
            }
          };
          find(document).dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true}));
        }""",
        list(content),
    )
    page.get_by_text("1 picture").first.wait_for()


def test_an_upload_over_a_limit_says_what_to_do(page, address: str) -> None:
    folder_input = page.locator("input[type=file]").nth(1)
    page.route(
        "**/viewer/*/files",
        lambda route: route.continue_(post_data=(12).to_bytes(4, "big") + b'[["a", -1]]x'),
    )
    folder_input.set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": b"a"})
    page.get_by_text("The list of files cannot be read").wait_for()
    assert page.get_by_role("button", name="Choose a folder").is_enabled()


def test_the_plain_head_is_read_beside_an_angiography_and_the_other_is_one_click(
    page, tmp_path: Path
) -> None:
    (tmp_path / "scan").mkdir()
    head = head_phantom([Bleed("intraparenchymal", 30)], slices=16, size=128, pixel_spacing_mm=1.8)
    for name, contrast in (("1", "IODINE"), ("2", "")):
        for number, (_, data) in enumerate(dicom_files(head)):
            data_set = dcmread(BytesIO(data))
            data_set.SeriesInstanceUID = f"1.2.3.{name}"
            data_set.SOPInstanceUID = f"1.2.3.{name}.{number}"
            data_set.ContrastBolusAgent = contrast
            data_set.save_as(tmp_path / "scan" / f"{name}-{number}", enforce_file_format=True)
    page.locator("input[type=file]").first.set_input_files(tmp_path / "scan")
    page.get_by_text("Read: series 1 of 2, 16 axial slices").wait_for()
    page.get_by_text(re.compile("Set aside: series 2, 16 axial slices.*with contrast")).wait_for()
    page.get_by_role("combobox").first.click()
    page.get_by_role("option").nth(1).click()
    page.get_by_text(re.compile("Read: series 2 of 2.*not read by default: with contr")).wait_for()
