"""The slice viewer, driven as a reader does: mouse, keys, overlay, strip, and network traffic."""

from __future__ import annotations

import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import FLAGS
from viewer_page import Viewer, create_session, wait_for_calls, write

from hemodetect.phantom.files import write_dicom_series, write_pictures
from hemodetect.phantom.head import Bleed, head_phantom
from hemodetect.viewer.routes import COOKIE

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 slices with a bleed on the patient's left."""
    scan = tmp_path_factory.mktemp("head") / "scan"
    phantom = head_phantom(
        [Bleed("intraparenchymal", 30)], slices=24, size=256, pixel_spacing_mm=0.9
    )
    write_dicom_series(phantom, scan)
    return scan


@pytest.fixture(scope="module")
def page(browser, address: str, folder: Path) -> Iterator[object]:
    """A page on which the models have read the study."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    browser_page = context.new_page()
    browser_page.set_default_timeout(90_000)
    browser_page.goto(address)
    browser_page.locator("input[type=file]").first.set_input_files(folder)
    viewer = Viewer(browser_page)
    browser_page.keyboard.press("End")
    wait_for_calls(browser_page)
    # The reader's slice stays when the calls come: the viewer is not drawn anew.
    assert viewer.slice == 24
    viewer.until("loaded", "all")
    yield browser_page
    context.close()


@pytest.fixture
def viewer(page) -> Viewer:
    """The viewer in its first state, in the middle slice."""
    slice_viewer = Viewer(page)
    x, y = slice_viewer.middle()
    page.mouse.move(x, y)
    page.keyboard.press("Escape")
    page.keyboard.press("0")
    page.keyboard.press("Home")
    slice_viewer.until("shown", "1")
    return slice_viewer


def test_it_fits_the_screen_with_the_calls(page, viewer: Viewer) -> None:
    for width, height in ((1440, 900), (1024, 768)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(300)
        box = viewer.root.bounding_box()
        calls = page.locator(".st-key-calls").bounding_box()
        assert calls["y"] + calls["height"] <= box["y"] + 4
        assert box["y"] + box["height"] <= height
        if width == 1440:
            assert box["height"] >= 560
    page.set_viewport_size({"width": 1440, "height": 900})


def test_wheel_keys_slider_and_strip_turn_slices(page, viewer: Viewer) -> None:
    page.mouse.wheel(0, 120)
    viewer.until("shown", "2")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    viewer.until("shown", "4")
    page.keyboard.press("ArrowUp")
    viewer.until("shown", "3")
    page.keyboard.press("PageDown")
    viewer.until("shown", "13")
    page.keyboard.press("End")
    viewer.until("shown", "24")
    viewer.root.get_by_role("slider", name="Slice", exact=True).fill("7")
    viewer.until("shown", "7")
    strip = viewer.root.get_by_role("img", name=re.compile("Probability of each slice"))
    box = strip.bounding_box()
    strip.click(position={"x": box["width"] - 2, "y": 10})
    viewer.until("shown", "24")
    strip.click(position={"x": 112 + 0.5 * (box["width"] - 112) / 24, "y": 10})
    viewer.until("shown", "1")
    page.keyboard.press(" ")
    viewer.until("shown", re.compile("[3-9]"))
    page.keyboard.press(" ")


def test_turning_windowing_and_overlays_ask_the_server_for_nothing(page, viewer: Viewer) -> None:
    page.keyboard.press("h")
    viewer.until("map-drawn", re.compile("/0$"))
    page.wait_for_timeout(600)  # the slice at rest has been reported
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    for _ in range(10):
        page.mouse.wheel(0, 120)
    viewer.until("shown", "11")
    viewer.until("map-drawn", re.compile("/10$"))
    viewer.drag(60, 20)
    page.keyboard.press("h")
    viewer.until("map", "")
    assert requests == []


def test_windows_by_keys_drag_and_numbers(page, viewer: Viewer) -> None:
    assert viewer["window"] == "80/40"
    page.keyboard.press("2")
    viewer.until("window", "200/80")
    page.keyboard.press("1")
    viewer.drag(40, 0)
    width, level = map(int, viewer["window"].split("/"))
    assert width > 80
    assert level == 40
    viewer.root.get_by_label("Window level (HU)").fill("30")
    page.keyboard.press("Tab")
    viewer.until("window", f"{width}/30")
    viewer.root.locator(".stage").dblclick()
    viewer.until("window", "80/40")


def test_hounsfield_units_under_the_pointer_and_in_an_ellipse(page, viewer: Viewer) -> None:
    strip = viewer.root.get_by_role("button", name=re.compile(r"^Slice \d+: \d+ %")).first
    strip.click()
    page.wait_for_timeout(300)
    # The bleed is on the patient's left, so to the right of the middle.
    x, y = viewer.middle()
    values = []
    for right in range(30, 90, 6):
        page.mouse.move(x + right, y)
        values.append(int(viewer.root.locator(".corner.se").inner_text().split()[0]))
    assert 55 < max(values) < 85
    page.keyboard.press("e")
    viewer.drag(12, 12)
    viewer.until("measures", re.compile(r"^-?\d+ ± \d+ HU, \d"))
    page.keyboard.press("Delete")
    viewer.until("measures", "")


def test_a_ruler_measures_millimetres(page, viewer: Viewer) -> None:
    page.keyboard.press("r")
    viewer.drag(100, 0)
    viewer.until("measures", re.compile(r"^\d"))
    match = re.fullmatch(r"(\d+\.\d) mm", viewer["measures"])
    assert match
    # The image of 256 x 0.9 mm is as high as its part of the screen.
    stage = viewer.root.locator(".stage").bounding_box()
    assert float(match[1]) == pytest.approx(100 * 256 * 0.9 / stage["height"], rel=0.02)
    page.keyboard.press("Delete")


def test_letters_and_planes(page, viewer: Viewer) -> None:
    letters = [viewer.root.locator(f".letter.{edge}").inner_text() for edge in "lrtb"]
    assert letters == ["R", "L", "A", "P"]
    page.keyboard.press("p")
    viewer.until("planes", "shown")
    box = viewer.root.locator(".planes canvas").bounding_box()
    assert box["width"] > 200
    # A click in the coronal plane, above the middle of it, goes to a slice near the vertex.
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 0.12 * box["height"])
    viewer.until("shown", re.compile("^(1[6-9]|2[0-4])$"))
    before = viewer.root.locator(".planes canvas").screenshot()
    page.keyboard.press("h")
    viewer.until("planes-map", re.compile("^blood-map"))
    assert viewer.root.locator(".planes canvas").screenshot() != before
    page.keyboard.press("h")
    viewer.until("planes-map", "")
    page.keyboard.press("p")
    viewer.until("planes", "")


def _status(address: str, cookie: str | None) -> int:
    headers = {} if cookie is None else {"Cookie": f"{COOKIE}={cookie}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
            assert answer.headers["Cache-Control"] == "no-store"
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_the_pixels_belong_to_the_browser_that_opened_the_study(
    browser, address: str, tmp_path: Path
) -> None:
    write_pictures(head_phantom(slices=4, size=128, pixel_spacing_mm=1.8), tmp_path / "scan")
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(90_000)
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(address)
    page.locator("input[type=file]").first.set_input_files(tmp_path / "scan")
    wait_for_calls(page)
    pixels = next(url for url in fetched if re.search(r"/slices/\d+-\d+$", url))
    (cookie,) = [entry for entry in context.cookies() if entry["name"] == COOKIE]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert _status(pixels, cookie["value"]) == 200
    assert _status(pixels, None) == 404
    assert _status(pixels, "another-browser") == 404
    token = pixels.split("/viewer/")[1].split("/")[0]
    assert _status(pixels.replace(token, "x" * len(token)), cookie["value"]) == 404
    assert _status(re.sub(r"\d+-\d+$", "0-99", pixels), cookie["value"]) == 404
    assert _status(pixels.split("/slices")[0] + "/maps/blood-map", "another-browser") == 404
    page.get_by_role("button", name="Open another study").click()
    page.get_by_role("heading", name="Read a study").wait_for()
    assert _status(pixels, cookie["value"]) == 404
    context.close()


def test_without_webgl_there_is_a_plain_view_and_a_sentence(
    address: str, browser, tmp_path: Path
) -> None:
    write_pictures(head_phantom(slices=5, size=128, pixel_spacing_mm=1.8), tmp_path / "scan")
    flags = [*FLAGS, "--disable-webgl", "--disable-webgl2", "--disable-3d-apis"]
    without = browser.browser_type.launch(executable_path=shutil.which("chromium"), args=flags)
    page = without.new_page()
    page.set_default_timeout(90_000)
    page.goto(address)
    page.locator("input[type=file]").first.set_input_files(tmp_path / "scan")
    viewer = Viewer(page)
    assert viewer["renderer"] == "plain"
    viewer.root.get_by_text("plain view").wait_for()
    wait_for_calls(page)
    page.keyboard.press("End")
    viewer.until("shown", "5")
    page.keyboard.press("2")
    viewer.until("window", "128/191")
    picture = viewer.root.locator(".stage").screenshot()
    assert len(picture) > 5000  # a black box has 2,000 bytes
    without.close()


def test_no_byte_of_a_model_reaches_a_reader_before_the_first_call(browser, address: str) -> None:
    """Looks at all network traffic: frames of the web socket and answers of the server."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(90_000)
    received: list[bytes] = []

    def listen(socket) -> None:
        socket.on(
            "framereceived",
            lambda data: received.append(data if isinstance(data, bytes) else data.encode()),
        )

    page.on("websocket", listen)
    page.goto(f"{address}/review")
    write(page, "Your name", "Ada")
    create_session(page, "Morning", "Ada", 1)
    viewer = Viewer(page)
    viewer.until("loaded", "all")
    page.wait_for_timeout(3000)
    wire = b"".join(received)
    for word in (b"SVM", b"Logistic", b'probabilities\\": [0', b"Blood map", b"suspicious"):
        assert word not in wire, word
    token = re.search(rb"viewer/([0-9a-f]{48})", wire)
    assert token
    cookie = next(c["value"] for c in page.context.cookies() if c["name"] == COOKIE)
    maps = f"{address}/viewer/{token[1].decode()}/maps/blood-map"
    assert _status(maps, cookie) == 404
    # A mark, then the call by keys alone; after it the maps are there.
    viewer.root.get_by_role("button", name="Mark the bleed").click()
    x, y = viewer.middle()
    page.mouse.click(x + 30, y)
    page.get_by_text(re.compile(r"Marked: slice \d+|call|Is there")).first.wait_for()
    page.keyboard.press("b")
    page.get_by_text(re.compile(r"Marked: slice \d+")).wait_for()
    page.keyboard.press("Shift+Digit4")
    page.locator("[role=radio][aria-checked=true]").get_by_text("4").wait_for()
    page.get_by_role("button", name=re.compile("Submit, then show")).click()
    wait_for_calls(page)
    assert b"SVM" in b"".join(received)
    page.get_by_role("button", name="Submit and continue").click(trial=True)
    page.keyboard.press("Control+Enter")
    page.get_by_text("All studies of this session are read").wait_for()
    page.get_by_text("Marked places").wait_for()
    page.context.close()


def test_the_published_models_answer_on_the_same_study(page, viewer: Viewer) -> None:
    calls = page.locator(".st-key-calls")
    ours = calls.inner_text()
    page.get_by_role("radio", name="As published").click()
    page.get_by_text("They are here for comparison, not for reading").wait_for()
    wait_for_calls(page)
    assert calls.inner_text() != ours
    # Grad-CAM of the published CNN, and the weights of the rows of the published attention RNN.
    menu = viewer.root.get_by_label("Heat map", exact=True)
    names = menu.locator("option").all_inner_texts()
    assert "Grad-CAM" in names
    assert "Blood map" not in names
    for name, key in (("Grad-CAM", "grad-cam-"), ("Attention RNN: weight of the rows", "rows")):
        menu.select_option(label=name)
        viewer.until("map", re.compile(f"^{key}"))
        viewer.until("map-drawn", re.compile(rf"^{key}-?\w+/\d+$"))
    page.get_by_role("radio", name="Ours").click()
    page.get_by_text("They are here for comparison, not for reading").wait_for(state="detached")
    menu.get_by_role("option", name="Blood map").wait_for(state="attached")
    assert calls.inner_text() == ours
