"""Many senders and readers at once, and processes that are killed: is every study judged, once?

    python benchmarks/worklist_load.py [--studies 50] [--kills 20]

Five senders send studies of 32 slices of 512 x 512 to `hemodetect receive`, while three readers in
Chromium open studies from the worklist, look at them and mark them as read. With --kills, receiver,
models and app are killed (-9) at random moments and started again; senders send again what was not
acknowledged. At the end every acknowledged study must be in the worklist, whole, and judged.

Times: from a study's last acknowledged image until the models have judged it.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Error, Page, sync_playwright
from pydicom.uid import generate_uid

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "pacs"))

from hospital import Hospital, all_sent, hospital
from pacs_peers import patient_files

from hemodetect.imaging.pseudonym import pseudonym
from hemodetect.pacs import worklist
from hemodetect.phantom.head import Bleed, head_phantom
from hemodetect.settings import settings

SENDERS, READERS, SLICES = 5, 3, 32
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu"]
MOST_SECONDS = 3600


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=50)
    parser.add_argument("--kills", type=int, default=0, help="kills in all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    phantoms = [head_phantom([Bleed("intraparenchymal", 20)] if n % 5 == 0 else [], seed=n)
                for n in range(5)]  # fmt: skip
    uids = [generate_uid() for _ in range(options.studies)]
    batches = [
        [
            patient_files(phantoms[n % 5], patient=f"p{n}", StudyInstanceUID=uids[n])
            for n in range(sender, options.studies, SENDERS)
        ]
        for sender in range(SENDERS)
    ]
    with (
        tempfile.TemporaryDirectory() as scratch,
        hospital(Path(scratch), ["receive", "judge", "app"]) as one,
    ):
        os.environ["HEMODETECT_STATE"] = one.variables["HEMODETECT_STATE"]
        settings.cache_clear()
        names = {uid: pseudonym("study", f"p{n}", uid) for n, uid in enumerate(uids)}
        time.sleep(25)  # the models are loaded
        began, clock = time.monotonic(), datetime.now(UTC)
        taken, senders = all_sent(batches, one.receive_port)
        ended = threading.Event()
        read: list[str] = []
        readers = [
            threading.Thread(target=_reads, args=(one, n, read, ended)) for n in range(READERS)
        ]
        for thread in readers:
            thread.start()
        killed = _killed(one, options.kills, chance)
        for sender in senders:
            sender.join(MOST_SECONDS)
        sent = time.monotonic() - began
        entries = _all_judged(len(uids))
        judged = time.monotonic() - began
        ended.set()
        for thread in readers:
            thread.join(300)
    print(f"{len(taken)} of {len(uids)} studies acknowledged in {sent:.0f} s, killed {killed}")
    by_study = {entry.study: entry for entry in entries}
    lost = [uid for uid in taken if names[uid] not in by_study]
    states = sorted({entry.state for entry in entries})
    print(
        f"{len(entries)} in the worklist after {judged:.0f} s; lost {len(lost)}, twice"
        f" {len(entries) - len(taken)}, not whole {sum(e.files != SLICES for e in entries)};"
        f" states {', '.join(states)}; {len(read)} opened by {READERS} readers"
    )
    waits = [
        (by_study[names[uid]].judged - clock).total_seconds() - (moment - began)
        for uid, moment in taken.items()
        if names[uid] in by_study and by_study[names[uid]].judged
    ]
    waits.sort()
    print(
        f"from the last image to the calls: median {statistics.median(waits):.0f} s, longest"
        f" {waits[-1]:.0f} s"
    )
    if lost or len(entries) != len(taken) or any(e.files != SLICES for e in entries):
        sys.exit(1)


def _killed(one: Hospital, kills: int, chance: random.Random) -> dict[str, int]:
    counts = dict.fromkeys(("receive", "judge", "app"), 0)
    for number in range(kills):
        name = ("receive", "judge", "app")[number % 3]
        time.sleep(chance.uniform(2, 8))
        one.kill(name)
        counts[name] += 1
    return counts


def _all_judged(count: int) -> list[worklist.Entry]:
    deadline = time.monotonic() + MOST_SECONDS
    while True:
        entries = worklist.entries()
        if len(entries) >= count and all(entry.is_ended for entry in entries):
            return entries
        if time.monotonic() > deadline:
            return entries
        time.sleep(1)


def _reads(one: Hospital, number: int, read: list[str], ended: threading.Event) -> None:
    """Opens a study, looks at it, marks it as read, and goes on; starts again where the app is gone."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        while not ended.is_set():
            page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            page.set_default_timeout(30_000)
            try:
                page.goto(f"http://127.0.0.1:{one.app_port}/worklist")
                page.get_by_role("textbox", name="Your name").fill(f"Reader {number}")
                page.keyboard.press("Enter")
                while not ended.is_set():
                    _one_read(page, number, read)
            except Error:
                time.sleep(1)
            finally:
                page.context.close()
        browser.close()


def _one_read(page: Page, number: int, read: list[str]) -> None:
    buttons = page.locator("[class*=st-key-worklist_open_] button:enabled")
    buttons.first.wait_for()
    buttons.nth(min(number, buttons.count() - 1)).click()
    page.locator('[data-testid="slice-viewer"][data-shown]').wait_for()
    page.locator('[data-testid="slice-viewer"]').press("ArrowRight")
    page.get_by_role("button", name="Done").click()
    page.get_by_role("heading", name="Worklist").wait_for()
    read.append(f"Reader {number}")


if __name__ == "__main__":
    main()
