"""Twenty readers at once in one app, against one reader alone in the same run.

Every reader has a session of their own, with patients of a labelled set that no other reader has. A
reader opens a study, turns slices with pauses as people make them, and calls the study without the
models. Then the reader sees the models' answers, turns slices again and calls the study again. The
readers are at different steps at the same time. Some readers are real browsers. Most are sessions over
Streamlit's own protocol that fetch slices as the viewer does: twenty browsers would need all cores of
this machine, and the figures would measure the browsers.

Measured of the server: the time from opening a study until its first slice, and until all slices, have
come; the time of the run that a slice at rest causes; the time from a call until the models' answers.
Measured of the browsers: the time from a key until the viewer shows the new slice, and one frame.
Measured of the app: its memory while all readers have a study in view. The benchmark also checks that
every read was stored, and that every slice was one of the reader's own, pixel by pixel.

    python benchmarks/twenty_readers.py --data FOLDER [--set ct-ich] [--readers 20] [--browsers 2]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from playwright.async_api import Browser, Page, Response, async_playwright, expect
from wire_session import WireSession

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))

from app_server import ROOT, running_app

from hemodetect.imaging.study import Study
from hemodetect.reviews.session import ReviewSession
from hemodetect.reviews.sessions import create, next_assignment, reads
from hemodetect.reviews.sources import OfSet, labelled_patients, open_source
from hemodetect.storage import audit_trail
from hemodetect.storage.people import local_person
from hemodetect.viewer.display import display_of

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu"]
STUDIES = 2
"""Number of studies that each reader reads."""
PAUSE_SECONDS = (1.0, 3.0)
"""Least and longest pause between two slices; drawn evenly."""
SLICES = re.compile(r"/viewer/[^/]+/slices/(\d+)-(\d+)$")
BLIND, SHOWN = "Submit, then show the models", "Submit and continue"

# Before the viewer, which stops the event; from the moment that the browser received the key.
NOTE_KEYS = """addEventListener("keydown", event => { window.keyTime = event.timeStamp; }, true)"""

# Times the next key until the viewer shows this slice, and one frame.
WATCH = """(root, slice) => {
  window.turned = new Promise(done => {
    const watch = new MutationObserver(() => {
      if (root.dataset.shown !== slice) return;
      watch.disconnect();
      requestAnimationFrame(() => done(performance.now() - window.keyTime));
    });
    watch.observe(root, {attributeFilter: ["data-shown"]});
  });
}"""


@dataclass
class Reader:
    """One reader and what was measured of them.

    Attributes:
        studies: the studies of the session, by number.
        first, everything: seconds from opening a study until its first slice, and all slices, had come.
        seconds: of each slice: until a browser shows it, or until the report that it is at rest.
        models: seconds from the call of a study until the models' answers.
        answered: names of the models whose answers came.
        fetched: number of slices that were fetched.
        wrong: number of fetched slices that were not the reader's own.
    """

    name: str
    session: ReviewSession
    studies: dict[int, Study]
    turns: int
    first: list[float] = field(default_factory=list)
    everything: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    models: list[float] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)
    fetched: int = 0
    wrong: int = 0

    @property
    def query(self) -> str:
        return f"session={self.session.id}"

    def due(self) -> Study:
        """The study that the reader reads now."""
        assignment = next_assignment(self.session, self.name)
        assert assignment is not None
        return self.studies[assignment.study.number]

    def check(self, slices: Mapping[int, bytes], study: Study) -> None:
        """Counts fetched slices (by index from 0), and those with other pixels than the display."""
        turn = display_of(study.slices).turn
        kind = np.dtype("<i2" if study.units == "HU" else "u1")
        limits = np.iinfo(kind)
        for index, pixels in slices.items():
            expected = np.clip(turn.shown(study.slices[index].values), limits.min, limits.max)
            self.fetched += 1
            self.wrong += pixels != np.rint(expected).astype(kind).tobytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the set")
    parser.add_argument(
        "--set", default="ct-ich", help="with at least 2 patients for each reader, and 6 more"
    )
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--browsers", type=int, default=2, help="how many of them")
    parser.add_argument("--turns", type=int, default=8, help="slices turned at each stage")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "HEMODETECT_STATE": folder,
            "HEMODETECT_DATABASE_URL": "",
            "HEMODETECT_DATA": str(options.data.resolve()),
            "HEMODETECT_ARTIFACTS": str(ROOT / "artifacts"),
        }
        os.environ |= environment
        asyncio.run(_measured(environment, options))


async def _measured(environment: dict[str, str], options: argparse.Namespace) -> None:
    readers = _readers(options.set, options.readers + 3, options.turns)
    first, alone, browser_alone, *together = readers
    with running_app(environment) as address:
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
            in_view = sum(
                image.values.nbytes for reader in together for image in reader.due().slices
            )
            stay.set()
            await asyncio.gather(*running)
            await browser.close()
    _report(readers, together, browsers, grown, in_view)


async def _grown(
    app: psutil.Process, before: int, all_there: asyncio.Barrier, running: list[asyncio.Task[None]]
) -> int:
    """Bytes that the app has gained since `before`, once all see a study and the models' answers."""
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
        sources = [
            (OfSet(name, patient), truth)
            for patient, truth in (next(patients) for _ in range(STUDIES))
        ]
        session = create(lead, f"of reader {n}", sources, [f"reader {n}"], "blind-first")
        studies = {study.number: open_source(study.source) for study in session.studies}
        readers.append(Reader(f"reader {n}", session, studies, turns))
    return readers


async def _read(
    browser: Browser | None,
    address: str,
    reader: Reader,
    all_there: asyncio.Barrier,
    stay: asyncio.Event,
) -> None:
    """Reads the whole session. Before the last call it waits until all readers have come this far."""

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
    await page_in_browser.add_init_script(NOTE_KEYS)
    await _read_in_browser(page_in_browser, address, reader, others)
    await context.close()


async def _read_on_the_wire(
    page: WireSession, reader: Reader, others: Callable[[], Awaitable[None]]
) -> None:
    began = time.perf_counter()
    await page.write("Your name", reader.name)
    for place in range(1, STUDIES + 1):
        study = reader.due()
        for last in (BLIND, SHOWN):
            fetched = await page.fetched()
            if last == BLIND:
                reader.first.append(fetched.first_came - began)
                reader.everything.append(fetched.all_came - began)
            reader.check({i: values.tobytes() for i, values in enumerate(fetched.slices)}, study)
            reader.answered.update(fetched.models)
            number = fetched.start
            for _ in range(reader.turns):
                await asyncio.sleep(random.uniform(*PAUSE_SECONDS))
                number = _neighbour(number, study)
                began = time.perf_counter()
                await page.rest_at(number)
                reader.seconds.append(time.perf_counter() - began)
                marked = _marked(page.charts())
                assert last == BLIND or f"slice {number}" in marked, f"{reader.name}: {marked}"
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
    answers: list[Response] = []
    page.on(
        "response", lambda answer: answers.append(answer) if SLICES.search(answer.url) else None
    )
    await page.goto(f"{address}/review?{reader.query}")
    box = page.get_by_role("textbox", name="Your name", exact=True)
    await box.fill(reader.name)
    await box.press("Enter")
    for place in range(1, STUDIES + 1):
        await page.get_by_text(f"Study {place} of {STUDIES}").wait_for()
        study = reader.due()
        for last in (BLIND, SHOWN):
            await page.get_by_role("button", name=last).wait_for()
            viewer = page.get_by_test_id("slice-viewer").filter(has_text=study.id)
            await expect(viewer).to_have_attribute("data-loaded", "all", timeout=120_000)
            await expect(viewer).to_have_attribute("data-shown", re.compile(r"\d"), timeout=120_000)
            await _idle(page)
            for answer in answers:
                reader.check(await _pixels(answer), study)
            answers.clear()
            # A key that is typed into a field turns no slice.
            await page.get_by_text("Your call").first.click()
            for _ in range(reader.turns):
                await asyncio.sleep(random.uniform(*PAUSE_SECONDS))
                number = int(await viewer.get_attribute("data-shown") or 0)
                following = _neighbour(number, study)
                await viewer.evaluate(WATCH, str(following))
                await page.keyboard.press("ArrowRight" if following > number else "ArrowLeft")
                async with asyncio.timeout(120):
                    reader.seconds.append(await page.evaluate("window.turned") / 1000)
            await _idle(page)
            if last == BLIND:
                await page.get_by_role("radio", name="Hemorrhage", exact=True).click()
                await _idle(page)
                await page.get_by_role("radio", name="3", exact=True).click()
                await _idle(page)
            elif place == STUDIES:
                await others()
            await page.get_by_role("button", name=last).click()
    await page.get_by_text("All studies of this session are read").wait_for()


async def _pixels(answer: Response) -> dict[int, bytes]:
    """Bytes of each slice in one answer, by index from 0; all slices have one size."""
    match = SLICES.search(answer.url)
    assert match
    assert answer.ok, f"{answer.url}: {answer.status}"
    first, last = int(match[1]), int(match[2])
    content = await answer.body()
    size = len(content) // (last - first + 1)
    return {first + place: content[place * size :][:size] for place in range(last - first + 1)}


async def _idle(page: Page) -> None:
    await asyncio.sleep(0.2)
    await page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


def _neighbour(number: int, study: Study) -> int:
    """The next slice; after the last one, the one before."""
    return number + 1 if number < len(study.slices) else number - 1


def _marked(charts: list[str]) -> set[str]:
    """Texts of the charts' annotations; the study's chart names the slice at rest."""
    layouts = [json.loads(chart)["layout"] for chart in charts]
    return {note["text"] for layout in layouts for note in layout.get("annotations", ())}


def _report(
    readers: list[Reader],
    together: list[Reader],
    browsers: list[Reader],
    grown: int,
    in_view: int,
) -> None:
    """Prints what was measured.

    Args:
        grown: bytes that the app gained while the studies of `together` were in view.
        in_view: bytes of the pixels of these studies.
    """
    _, alone, browser_alone, *_ = readers
    expected = 2 * STUDIES * len(readers)
    stored = sum(len(reads(reader.session.id)) for reader in readers)
    print(
        f"reads kept: {stored} of {expected}; entries of the audit trail: {audit_trail.verify()[0]}"
    )
    fetched = sum(reader.fetched for reader in readers)
    print(f"slices that were not the reader's own: {sum(r.wrong for r in readers)} of {fetched}")
    wired = [reader for reader in together if reader not in browsers]
    answered = set.intersection(*(reader.answered for reader in (alone, *wired)))
    print(f"models that answered each reader: {', '.join(sorted(answered)) or 'none'}")
    for name, measure, one, many in (
        ("opening a study, first slice", "first", alone, wired),
        ("opening a study, all slices", "everything", alone, wired),
        ("server, a slice at rest", "seconds", alone, wired),
        ("server, the models' answers", "models", alone, wired),
        ("browser, a slice", "seconds", browser_alone, browsers),
    ):
        times = [seconds for reader in many for seconds in getattr(reader, measure)]
        print(
            f"{name}: {_spread(getattr(one, measure))} alone,"
            f" {_spread(times)} with {len(together)} readers"
        )
    sizes = [size / len(together) / 2**20 for size in (grown, grown - in_view)]
    print(f"memory: {sizes[0]:.1f} MiB a session, {sizes[1]:.1f} without the pixels of its study")


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "not measured"
    median, late = np.percentile(seconds, [50, 95])
    return f"{median:.3f} s (95th percentile {late:.3f} s, n {len(seconds)})"


if __name__ == "__main__":
    main()
