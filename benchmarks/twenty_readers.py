"""Twenty readers at once in one app, against one reader alone in the same run.

Every reader has a session with patients of a labelled set that nobody else has. They turn slices with
pauses as people make them, call each study without the models, see what these say, turn slices again
and call it again; each is at another place of that. Most readers are sessions over Streamlit's own
protocol, for twenty browsers would be measured on this machine's cores and not on the readers'; some
are real browsers, and theirs is the time from the key to the new slice in the page.

Measured: how long a slice takes, the memory of the app while all have a study in view, and whether
every read was kept and every slice that came was the reader's own, pixel by pixel.

    python benchmarks/twenty_readers.py --data FOLDER [--set ct-ich] [--readers 20] [--browsers 2]
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from playwright.async_api import Browser, Page, async_playwright
from wire_session import WireSession

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))

from app_server import ROOT, running_app

from hemodetect.imaging.study import Study
from hemodetect.imaging.windows import Window, windowed
from hemodetect.reviews.session import ReviewSession
from hemodetect.reviews.sessions import create, next_assignment, reads
from hemodetect.reviews.sources import OfSet, labelled_patients, open_source
from hemodetect.storage import audit_trail
from hemodetect.storage.people import local_person

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu"]
STUDIES = 2
"""Of every reader."""
PAUSE_SECONDS = (1.0, 3.0)
"""Between two slices, drawn evenly."""
ALL_GREY = Window(255, 127.5)
BLIND, SHOWN = "Submit, then show the models", "Submit and continue"

# Times each key until the first picture of the viewer is another one.
WATCH = """() => {
  window.turned = new Promise(done => {
    const picture = () => document.querySelector(".js-plotly-plot image")?.getAttribute("href");
    document.addEventListener("keydown", () => {
      const before = picture(), began = performance.now();
      const watch = new MutationObserver(() => {
        if (picture() && picture() !== before) {
          watch.disconnect();
          done(performance.now() - began);
        }
      });
      watch.observe(document.body, {subtree: true, childList: true, attributes: true});
    }, {capture: true, once: true});
  });
}"""


@dataclass
class Reader:
    """One reader and what was measured of them.

    Attributes:
        own: session and its studies, by number.
        seconds: that each turned slice took.
        models: that each study's models took, from the call to the last chart.
        strange: slices that were not the reader's own.
    """

    name: str
    session: ReviewSession
    own: dict[int, Study]
    turns: int
    seconds: list[float] = field(default_factory=list)
    models: list[float] = field(default_factory=list)
    strange: int = 0

    @property
    def query(self) -> str:
        return f"session={self.session.id}"

    def due(self) -> Study:
        """The study to read now."""
        assignment = next_assignment(self.session, self.name)
        assert assignment is not None
        return self.own[assignment.study.number]

    def check(self, source: str, number: int, study: Study) -> None:
        """Counts a picture that is not the slice of this number, from 1."""
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))))
        if not np.array_equal(pixels, windowed(study.slices[number - 1].values, ALL_GREY)):
            self.strange += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the set")
    parser.add_argument(
        "--set", default="ct-ich", help="of at least 2 patients a reader and 4 more"
    )
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--browsers", type=int, default=2, help="how many of them")
    parser.add_argument("--turns", type=int, default=8, help="slices turned at each stage")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        own = {
            "HEMODETECT_STATE": folder,
            "HEMODETECT_DATABASE_URL": "",
            "HEMODETECT_DATA": str(options.data.resolve()),
            "HEMODETECT_ARTIFACTS": str(ROOT / "artifacts"),
        }
        os.environ |= own
        asyncio.run(_measured(own, options))


async def _measured(own: dict[str, str], options: argparse.Namespace) -> None:
    readers = _readers(options.set, options.readers + 3, options.turns)
    first, alone, browser_alone, *together = readers
    with running_app(own) as address:
        (app,) = (p for p in psutil.Process().children() if "streamlit" in " ".join(p.cmdline()))
        stay = asyncio.Event()
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=FLAGS
            )
            for one, watched in ((first, False), (alone, False), (browser_alone, True)):
                stay.set()
                await _read(browser if watched else None, address, one, asyncio.Barrier(1), stay)
                print(f"{one.name} is done", flush=True)
            stay.clear()
            before = app.memory_info().rss
            all_there = asyncio.Barrier(len(together) + 1)
            browsers = together[: options.browsers]
            running = [
                asyncio.create_task(
                    _read(browser if one in browsers else None, address, one, all_there, stay)
                )
                for one in together
            ]
            grown = await _grown(app, before, all_there, running)
            stay.set()
            await asyncio.gather(*running)
            await browser.close()
    _report(readers, together, browsers, grown)


async def _grown(
    app: psutil.Process, before: int, all_there: asyncio.Barrier, running: list[asyncio.Task[None]]
) -> int:
    """Bytes of the app more than `before` when all have a study and what the models say in view."""
    waiting = asyncio.create_task(all_there.wait())
    done, _ = await asyncio.wait([waiting, *running], return_when=asyncio.FIRST_COMPLETED)
    for task in done - {waiting}:
        task.result()  # a reader who failed says why
    return app.memory_info().rss - before


def _readers(name: str, count: int, turns: int) -> list[Reader]:
    lead = local_person("lead")
    patients = iter(labelled_patients(name).items())
    readers = []
    for n in range(count):
        given = [
            (OfSet(name, patient), truth)
            for patient, truth in (next(patients) for _ in range(STUDIES))
        ]
        session = create(lead, f"of reader {n}", given, [f"reader {n}"], "blind-first")
        own = {study.number: open_source(study.source) for study in session.studies}
        readers.append(Reader(f"reader {n}", session, own, turns))
    return readers


async def _read(
    browser: Browser | None,
    address: str,
    reader: Reader,
    all_there: asyncio.Barrier,
    stay: asyncio.Event,
) -> None:
    """Reads the whole session; before the last call it waits until all others are as far."""

    async def others() -> None:
        await all_there.wait()
        await stay.wait()

    if browser is None:
        async with WireSession(address, "review", reader.query) as page:
            await _read_on_the_wire(page, reader, others)
        return
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    page_in_browser = await context.new_page()
    page_in_browser.set_default_timeout(120_000)
    await _read_in_browser(page_in_browser, address, reader, others)
    await context.close()


async def _read_on_the_wire(
    page: WireSession, reader: Reader, others: Callable[[], Awaitable[None]]
) -> None:
    await page.write("Your name", reader.name)
    for place in range(1, STUDIES + 1):
        study = reader.due()
        for last in (BLIND, SHOWN):
            for _ in range(reader.turns):
                await asyncio.sleep(random.uniform(*PAUSE_SECONDS))
                number = _number(page.texts())
                direction = "Next" if number < len(study.slices) else "Back"
                began = time.perf_counter()
                await page.press(direction)
                reader.seconds.append(time.perf_counter() - began)
                shown = _number(page.texts())
                assert shown != number, f"{reader.name}: slice {number} stayed"
                reader.check(_picture(page.charts()), shown, study)
            if last == BLIND:
                await page.choose("Is there a hemorrhage?", "Hemorrhage")
                await page.choose("How sure are you?", "3")
            elif place == STUDIES:
                await others()
            began = time.perf_counter()
            await page.press(last)
            if last == BLIND:
                reader.models.append(time.perf_counter() - began)
    assert "All studies of this session are read" in page.texts()


async def _read_in_browser(
    page: Page, address: str, reader: Reader, others: Callable[[], Awaitable[None]]
) -> None:
    await page.goto(f"{address}/review?{reader.query}")
    box = page.get_by_role("textbox", name="Your name", exact=True)
    await box.fill(reader.name)
    await box.press("Enter")
    for place in range(1, STUDIES + 1):
        await page.get_by_text(f"Study {place} of {STUDIES}").wait_for()
        study = reader.due()
        for last in (BLIND, SHOWN):
            await page.get_by_role("button", name=last).wait_for()
            await _caption(page).wait_for()
            await _idle(page)
            # A key that is typed into a field turns no slice.
            await page.get_by_text("Your call").first.click()
            for _ in range(reader.turns):
                await asyncio.sleep(random.uniform(*PAUSE_SECONDS))
                number = _number(await _caption(page).inner_text())
                await page.evaluate(WATCH)
                await page.keyboard.press(
                    "ArrowRight" if number < len(study.slices) else "ArrowLeft"
                )
                reader.seconds.append(await page.evaluate("window.turned") / 1000)
                await _idle(page)
                shown = _number(await _caption(page).inner_text())
                source = await page.locator(".js-plotly-plot image").first.get_attribute("href")
                assert source is not None
                reader.check(source, shown, study)
            if last == BLIND:
                await page.get_by_role("radio", name="Hemorrhage", exact=True).click()
                await _idle(page)
                await page.get_by_role("radio", name="3", exact=True).click()
                await _idle(page)
            elif place == STUDIES:
                await others()
            await page.get_by_role("button", name=last).click()
    await page.get_by_text("All studies of this session are read").wait_for()


def _caption(page: Page):
    return page.get_by_text(re.compile(r"^Slice \d+ of ")).last


async def _idle(page: Page) -> None:
    await asyncio.sleep(0.2)
    await page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


def _number(text: str) -> int:
    """Of the slice in view."""
    match = re.search(r"Slice (\d+) of \d+", text)
    assert match, f"no slice is shown: {text[:300]}"
    return int(match[1])


def _picture(charts: list[str]) -> str:
    """The slice in its window, of the viewer's panels."""
    for chart in charts:
        for trace in json.loads(chart)["data"]:
            if trace["type"] == "image":
                return str(trace["source"])
    raise LookupError("no chart shows a slice")


def _report(
    readers: list[Reader], together: list[Reader], browsers: list[Reader], grown: int
) -> None:
    _, alone, browser_alone, *_ = readers
    expected = 2 * STUDIES * len(readers)
    stored = sum(len(reads(reader.session.id)) for reader in readers)
    print(
        f"reads kept: {stored} of {expected}; entries of the audit trail: {audit_trail.verify()[0]}"
    )
    turned = sum(len(reader.seconds) for reader in readers)
    print(f"slices that were not the reader's own: {sum(r.strange for r in readers)} of {turned}")
    wired = [reader for reader in together if reader not in browsers]
    for name, one, many in (("server", alone, wired), ("browser", browser_alone, browsers)):
        times = np.array([seconds for reader in many for seconds in reader.seconds])
        print(
            f"{name}, a slice: {_spread(np.array(one.seconds))} alone,"
            f" {_spread(times)} with {len(together)} readers,"
            f" ratio of the medians {np.median(times) / np.median(one.seconds):.1f}"
        )
    models = np.array([seconds for reader in wired for seconds in reader.models])
    print(f"models: {_spread(np.array(alone.models))} alone, {_spread(models)} together")
    print(f"memory: {grown / len(together) / 2**20:.1f} MiB a session")


def _spread(seconds: np.ndarray) -> str:
    if not len(seconds):
        return "not measured"
    median, late = np.percentile(seconds, [50, 95])
    return f"{median:.2f} s (95th percentile {late:.2f} s, n {len(seconds)})"


if __name__ == "__main__":
    main()
