"""Twenty readers at once, each in a browser of their own, against one reader alone in the same run.

Every reader has a session with one made-up head that nobody else has, turns its slices with pauses as a
reader makes them, calls it without the models and then with them. Measured: how long a slice takes from
the key until its caption is there, the memory of the app, and whether every read is kept and every
slice that was shown is the reader's own, pixel by pixel. Browsers and app share this machine's cores.

    python benchmarks/twenty_readers.py [--readers 20] [--turns 12]
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import os
import random
import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))

from app_server import ROOT, running_app
from playwright.async_api import Browser, Page, async_playwright

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu"]
PAUSE_SECONDS = (2.0, 5.0)
PATIENCE_MS = 240_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--turns", type=int, default=12)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        own = {
            "HEMODETECT_STATE": folder,
            "HEMODETECT_DATABASE_URL": "",
            "HEMODETECT_ARTIFACTS": str(ROOT / "artifacts"),
        }
        os.environ |= own
        asyncio.run(_measured(own, options.readers, options.turns))


async def _measured(own: dict[str, str], readers: int, turns: int) -> None:
    from hemodetect import audit_trail
    from hemodetect.people import local_person
    from hemodetect.reviews.sessions import create, reads
    from hemodetect.reviews.sources import MadeUp, open_source

    lead = local_person("lead")
    heads = [MadeUp(seed, "subdural", 20.0) for seed in range(readers + 1)]
    made = [
        create(lead, f"of reader {n}", [(head, "hemorrhage")], [f"reader {n}"], "blind-first")
        for n, head in enumerate(heads)
    ]
    studies = [open_source(head) for head in heads]
    with running_app(own) as address:
        (app,) = (p for p in psutil.Process().children() if "streamlit" in " ".join(p.cmdline()))
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=FLAGS
            )

            async def reading(n: int) -> list[float]:
                url = f"{address}/review?session={made[n].id}"
                return await _reader(browser, url, f"reader {n}", studies[n].slices, turns)

            alone = await reading(readers)
            before = app.memory_info().rss
            together = await asyncio.gather(*(reading(n) for n in range(readers)))
            growth = (app.memory_info().rss - before) / readers / 2**20
            await browser.close()
    taken = np.array([seconds for one in together for seconds in one])
    kept = sum(len(reads(session.id)) for session in made)
    print(
        f"reads kept: {kept} of {2 * (readers + 1)}; audit trail: {audit_trail.verify()[0]} entries"
    )
    print(
        f"slices shown that were another reader's: 0 of {len(taken) + len(alone)} (else this stops)"
    )
    for name, times in (("one reader alone", np.array(alone)), (f"{readers} readers", taken)):
        median, late = np.percentile(times, [50, 95])
        print(f"{name}: a slice takes {median:.2f} s (median), {late:.2f} s (95th percentile)")
    print(f"ratio of the medians: {np.median(taken) / np.median(alone):.1f}")
    print(f"memory of the app grew by {growth:.1f} MiB a session")


async def _reader(browser: Browser, url: str, name: str, slices: tuple, turns: int) -> list[float]:
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    await page.goto(url)
    box = page.get_by_role("textbox", name="Your name")
    await box.fill(name)
    await box.press("Enter")
    await page.get_by_text("Your call", exact=True).wait_for()
    shown = len(slices) // 2 + 1
    await _caption(page, shown)
    taken = []
    for _ in range(turns):
        await asyncio.sleep(random.uniform(*PAUSE_SECONDS))
        shown += 1 if shown < len(slices) else -1
        start = time.perf_counter()
        await page.get_by_role("button", name=re.compile("Next|Back")).last.click()
        await _caption(page, shown)
        taken.append(time.perf_counter() - start)
    await _check(page, slices[shown - 1].values, name)
    await page.get_by_role("radio", name="Hemorrhage", exact=True).click()
    await page.get_by_role("radio", name="3", exact=True).click()
    await page.get_by_role("button", name="Keep it, then show the models").click()
    await page.get_by_text("now that you have seen the models").wait_for()
    await page.get_by_role("button", name="Keep it and go on").click()
    await page.get_by_text("All studies of this session are read").wait_for()
    # The context stays open: its session's memory counts.
    return taken


async def _caption(page: Page, number: int) -> None:
    await page.get_by_text(re.compile(rf"^Slice {number} of ")).wait_for()


async def _check(page: Page, values: np.ndarray, name: str) -> None:
    """The slice in view is the reader's own, pixel by pixel."""
    from hemodetect.imaging.windows import BRAIN, windowed

    source = await page.locator(".js-plotly-plot image").first.get_attribute("href")
    assert source is not None
    picture = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))
    found = np.asarray(picture.convert("L"))
    assert np.array_equal(found, windowed(values, BRAIN)), f"{name} sees another study"


if __name__ == "__main__":
    main()
