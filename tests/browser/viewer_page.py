"""The slice viewer as the browser tests see it: its state stands in attributes of its root."""

from __future__ import annotations

import re


class Viewer:
    """The viewer of a page; waits until it has drawn a slice."""

    def __init__(self, page) -> None:
        self.page = page
        self.root = page.get_by_test_id("slice-viewer")
        self.root.wait_for()
        self.until("drawn", re.compile(r"[1-9]\d*"))

    def __getitem__(self, name: str) -> str:
        return self.root.get_attribute(f"data-{name}") or ""

    @property
    def slice(self) -> int:
        """Number of the slice, from 1."""
        return int(self["slice"])

    def until(self, name: str, value: str | re.Pattern[str]) -> None:
        """Waits until an attribute has this value."""
        from playwright.sync_api import expect

        expect(self.root).to_have_attribute(f"data-{name}", value, timeout=30_000)

    def middle(self) -> tuple[float, float]:
        """Middle of the image on the screen."""
        box = self.root.locator(".stage").bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag(self, right: float, down: float, button: str = "left") -> None:
        """Drags from the middle of the image."""
        x, y = self.middle()
        self.page.mouse.move(x, y)
        self.page.mouse.down(button=button)
        self.page.mouse.move(x + right, y + down, steps=3)
        self.page.mouse.up(button=button)


def wait_for_calls(page) -> None:
    """Waits until the models have read the study."""
    page.locator(".st-key-calls").get_by_text("Attention RNN").wait_for()
    page.locator(".st-key-calls").get_by_text(re.compile(r"of \d+ slice")).first.wait_for()


def write(page, label: str, text: str) -> None:
    """Fills a field and leaves it."""
    box = page.get_by_role("textbox", name=label, exact=True)
    box.wait_for()
    box.fill(text)
    box.press("Enter")


def create_session(page, title: str, readers: str, phantoms: int) -> None:
    """On the page Review, creates a session of phantoms."""
    write(page, "Title", title)
    write(page, "Readers (comma-separated)", readers)
    page.get_by_text("Synthetic phantoms", exact=True).click()
    page.get_by_label("Phantoms").fill(str(phantoms))
    page.get_by_label("Phantoms").press("Enter")
    noun = "study" if phantoms == 1 else "studies"
    page.get_by_text(f"{phantoms} {noun}; each reader").wait_for()
    page.get_by_role("button", name="Create session").click()
