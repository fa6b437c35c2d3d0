"""The slice viewer in a browser that draws without a GPU: turning slices, first slice, memory.

    python benchmarks/viewer.py [--data NEAR_EAST] [--before CHECKOUT]

Turning slices: from the event in the page until the page shows the new slice and the next frame has
been made, by wheel, key and slider, for 135 and 300 slices. With --before, the page of an older
checkout of this project (up to d175312, whose slices came from the server) is measured in the same run:
from its arrow key until the picture has changed.

First slice: from the choice of a folder until a slice is drawn, until the five models' answers for one
slice are above it, and until the five calls are; the models are loaded before. N6 of near-east has 135
JPEG files; the other is a phantom of 300 DICOM slices.

Memory: of the app's process with each of four sessions open, beyond the pixels of their studies.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from playwright.sync_api import Browser, Page, Request, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))

from app_server import free_port, running_app
from conftest import FLAGS

from hemodetect.imaging import read_study
from hemodetect.phantom.files import write_dicom_series
from hemodetect.phantom.head import Bleed, head_phantom

TURNS = 40
SESSIONS = 4
WAIT_MS = 300_000

# Turns a slice with an event of its own, and gives the milliseconds until its frame has been made.
TURN = """([how, forward]) => new Promise((done) => {
  const find = (root) => {
    const element = root.querySelector('[data-testid="slice-viewer"]');
    if (element) return element;
    for (const one of root.querySelectorAll("*")) {
      const inside = one.shadowRoot && find(one.shadowRoot);
      if (inside) return inside;
    }
  };
  const viewer = window.foundViewer ??= find(document);
  const began = performance.now();
  new MutationObserver((_, watcher) => {
    watcher.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
  }).observe(viewer, { attributeFilter: ["data-shown"] });
  if (how === "wheel") {
    const deltaY = forward ? 120 : -120;
    const wheel = new WheelEvent("wheel", { deltaY, bubbles: true, cancelable: true });
    viewer.querySelector(".stage").dispatchEvent(wheel);
  } else if (how === "key") {
    const key = forward ? "ArrowRight" : "ArrowLeft";
    viewer.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, composed: true }));
  } else {
    const slider = viewer.querySelector('input[aria-label="Slice"]');
    slider.value = String(Number(slider.value) + (forward ? 1 : -1));
    slider.dispatchEvent(new Event("input"));
  }
})"""

# The page before: a key, until the picture of the slice is another one.
TURN_BEFORE = """() => new Promise((done) => {
  const picture = () => document.querySelector(".st-key-read_view image")?.getAttribute("xlink:href")
    ?? document.querySelector(".st-key-read_view image")?.getAttribute("href");
  const first = picture();
  const began = performance.now();
  const look = () => (picture() && picture() !== first
    ? requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)))
    : setTimeout(look, 2));
  look();
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/near-east"))
    parser.add_argument("--before", type=Path, help="an older checkout with its environment")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        thick, thin = options.data / "NORMAL" / "N6[N6]", Path(scratch) / "thin"
        phantom = head_phantom([Bleed("subdural", 40)], slices=300, slice_spacing_mm=0.5)
        write_dicom_series(phantom, thin)
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        folders = {"N6, 135 JPEG": thick, "phantom, 300 DICOM": thin}
        if options.before is not None:
            _before(browser, options.before, folders, Path(scratch) / "before")
        state = {"HEMODETECT_STATE": f"{scratch}/state", "HEMODETECT_CACHE": f"{scratch}/cache"}
        with running_app(state) as url:
            _warm(browser, url)
            for name, folder in folders.items():
                _first_slice(browser, url, name, folder)
            for name, folder in folders.items():
                _turns(browser, url, name, folder)
            _memory(browser, url, thin)


def _opened(browser: Browser, url: str, folder: Path) -> tuple[Page, float]:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(url)
    page.get_by_role("heading", name="Read a study").wait_for()
    page.wait_for_timeout(500)
    began = time.perf_counter()
    page.locator("input[type=file]").first.set_input_files(folder)
    return page, began


def _calls(page: Page) -> None:
    page.locator(".st-key-calls").get_by_text(re.compile(r"of \d+ slice")).first.wait_for()


def _warm(browser: Browser, url: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_dicom_series(
            head_phantom(slices=8, size=128, pixel_spacing_mm=1.8), Path(folder) / "a"
        )
        page, _ = _opened(browser, url, Path(folder) / "a")
        _calls(page)
        page.context.close()


def _first_slice(browser: Browser, url: str, name: str, folder: Path) -> None:
    page, began = _opened(browser, url, folder)
    _print_first(page, f"{name}, in a browser that never saw the app", began)
    page.get_by_role("button", name="Open another study").click()
    page.get_by_role("heading", name="Read a study").wait_for()
    page.wait_for_timeout(500)
    uploaded = [0.0]

    def finished(request: Request) -> None:
        if request.url.endswith("/files"):
            uploaded[0] = time.perf_counter() - began

    page.on("requestfinished", finished)
    began = time.perf_counter()
    page.locator("input[type=file]").first.set_input_files(folder)
    _print_first(page, f"{name}, as the second study", began)
    print(f"{name}: its files had arrived after {uploaded[0]:.2f} s")
    page.context.close()


def _print_first(page: Page, name: str, began: float) -> None:
    page.locator('[data-testid="slice-viewer"][data-shown]').wait_for()
    drawn = time.perf_counter() - began
    page.locator(".st-key-calls").get_by_text(re.compile(r"alone:.*Attention RNN")).wait_for()
    one = time.perf_counter() - began
    _calls(page)
    five = time.perf_counter() - began
    print(f"{name}: first slice {drawn:.2f} s, five answers for it {one:.2f} s, calls {five:.2f} s")


def _turns(browser: Browser, url: str, name: str, folder: Path) -> None:
    page, _ = _opened(browser, url, folder)
    _calls(page)
    page.locator('[data-testid="slice-viewer"][data-loaded="all"]').wait_for()
    page.wait_for_timeout(1000)
    for how in ("wheel", "key", "slider"):
        _print(f"{name}, {how}", lambda turn, how=how: page.evaluate(TURN, [how, turn % 2 == 0]))
    page.keyboard.press("h")
    page.locator("[data-map-drawn]").wait_for()
    _print(f"{name}, key, heat map on", lambda turn: page.evaluate(TURN, ["key", turn % 2 == 0]))
    page.context.close()


def _print(name: str, turn: Callable[[int], float]) -> None:
    turn(0)
    turn(1)
    times = [turn(number) for number in range(TURNS)]
    high = float(np.percentile(times, 95))
    print(f"{name}: median {statistics.median(times):.0f} ms, 95th percentile {high:.0f} ms")


def _memory(browser: Browser, url: str, folder: Path) -> None:
    port = int(url.rsplit(":", 1)[1])
    process = next(
        psutil.Process(entry.pid)
        for entry in psutil.net_connections()
        if entry.laddr and entry.laddr.port == port and entry.status == "LISTEN" and entry.pid
    )
    pixels = sum(image.values.nbytes for image in read_study(folder).slices) / 1e6
    before, used = process.memory_info().rss / 1e6, []
    for _ in range(SESSIONS):
        page, _ = _opened(browser, url, folder)
        _calls(page)
        page.locator('[data-testid="slice-viewer"][data-loaded="all"]').wait_for()
        now = process.memory_info().rss / 1e6
        used.append(now - before - pixels)
        before = now
    each = ", ".join(f"{value:.0f}" for value in used)
    print(
        f"memory of a session of 300 slices beyond its {pixels:.0f} MB of pixels: mean"
        f" {statistics.mean(used):.0f} MB ({each}, one after the other)"
    )


def _before(browser: Browser, checkout: Path, folders: dict[str, Path], state: Path) -> None:
    """The same turns in an older checkout, whose slices come from the server."""
    port = free_port()
    command = [checkout / ".venv/bin/streamlit", "run", "app.py", f"--server.port={port}"]
    process = subprocess.Popen(
        command, cwd=checkout, env={"HOME": str(state), "PATH": "/usr/bin:/bin"}
    )
    try:
        time.sleep(15)
        for name, folder in folders.items():
            page, _ = _opened(browser, f"http://127.0.0.1:{port}", folder)
            page.get_by_text("Most suspicious slices").wait_for()
            page.wait_for_timeout(3000)
            page.locator("h1").first.click()

            def turn(number: int, page: Page = page) -> float:
                # Not awaited here: the key is pressed while the page looks.
                page.evaluate(f"() => {{ window.turned = ({TURN_BEFORE})(); }}")
                page.keyboard.press("ArrowRight" if number % 2 == 0 else "ArrowLeft")
                return page.evaluate("() => window.turned")

            _print(f"before: {name}, key", turn)
            page.context.close()
    finally:
        process.terminate()


if __name__ == "__main__":
    main()
