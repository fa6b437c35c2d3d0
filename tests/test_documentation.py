"""Nothing that a person can use is missing from the documents, and the documents do not go stale."""

from __future__ import annotations

import argparse
import re
import runpy
import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from hemodetect import cli
from hemodetect.evaluation.metrics import Metric, Scores
from hemodetect.models.recipes import RECIPES
from hemodetect.settings import Settings

REPOSITORY = Path(__file__).parents[1]
README = REPOSITORY / "README.md"
DOCS = REPOSITORY / "docs"
DOCUMENTS = (README, *sorted(DOCS.glob("*.md")))
LONGEST_README = 150

PRIVATE_WORDS = (
    r"commoner",
    r"calls hemorrhage from",
    r"slices suspicious, most",
    r"could be made out",
    r"models that look for one say nothing",
    r"keep it, then show",
    r"keep it and go on",
    r"look at it first",
    r"made-up heads?",
    r"with commas between",
    r"placeholder=\"the recipe's\"",
    r"manieth",
    r"is said so",
    r"hiccup",
)
"""Phrases that readers had to decode (issue 15, section 2), as regular expressions."""

PAGES = re.findall(
    r"st\.Page\(\s*\"(app_pages/[^\"]+)\",\s*title=\"([^\"]+)\"",
    (REPOSITORY / "router.py").read_text(),
)


def section(document: str, heading: str) -> str:
    """The text under `## heading` of a document in docs, up to the next heading of that level."""
    _, heading_line, after = (DOCS / document).read_text().partition(f"\n## {heading}\n")
    assert heading_line, f"docs/{document} has no section {heading}"
    return after.partition("\n## ")[0]


def commands() -> dict[str, argparse.ArgumentParser]:
    (subparsers,) = (
        action for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    return dict(subparsers.choices)


def renew_cli() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "renew_cli.py"))


@pytest.mark.parametrize("name", commands())
def test_every_command_and_option_is_documented(name: str) -> None:
    text = (DOCS / "cli.md").read_text()
    assert f"`hemodetect {name}" in text or f"<!-- help: {name} -->" in text
    block = text.partition(f"<!-- help: {name} -->")[2].partition("\n```\n")[0]
    for action in commands()[name]._actions:
        assert action.help, f"{name} {action.dest} has no help"
        for option in action.option_strings or [str(action.metavar or action.dest)]:
            if action.choices is None or action.option_strings:
                assert option in block, f"docs/cli.md: {name} lacks {option}"


def test_the_help_texts_in_the_documents_are_those_of_today() -> None:
    text = (DOCS / "cli.md").read_text()
    assert renew_cli()["renewed"](text) == text, "run python docs/renew_cli.py"


def test_a_command_without_a_help_text_in_the_documents_is_named() -> None:
    text = (DOCS / "cli.md").read_text().replace("<!-- help: sweep -->", "")
    with pytest.raises(ValueError, match="sweep"):
        renew_cli()["renewed"](text)


@pytest.mark.parametrize("variable", [variable for variable, _, _ in Settings.documented()])
def test_every_setting_is_documented(variable: str) -> None:
    assert f"\n| `{variable}` |" in section("operations.md", "Settings")


def test_the_pages_are_read_from_the_router() -> None:
    folders = {path.name for path in (REPOSITORY / "app_pages").iterdir() if path.is_dir()}
    assert {Path(file).parts[1] for file, _ in PAGES} == folders - {"common", "__pycache__"}


@pytest.mark.parametrize(("file", "title"), PAGES)
def test_every_page_is_documented(file: str, title: str) -> None:
    assert f"\n| {title} | `{Path(file).parent}/` |" in section("architecture.md", "Pages")
    assert f"**{title}**" in README.read_text()


@pytest.mark.parametrize("recipe", sorted({name for _, name in RECIPES}))
def test_every_recipe_is_documented(recipe: str) -> None:
    assert f"\n| `{recipe}` |" in section("models.md", "Recipes")


@pytest.mark.parametrize(
    "metric",
    [f.name for f in fields(Scores) if get_type_hints(Scores)[f.name] is Metric]
    + ["majority_baseline"],
)
def test_every_metric_is_documented(metric: str) -> None:
    assert f"\n| {metric.replace('_', ' ')} |" in section("models.md", "Metrics").lower()


@pytest.mark.parametrize(
    "room", sorted(path.name for path in (REPOSITORY / "hemodetect").iterdir() if path.is_dir())
)
def test_every_room_is_documented(room: str) -> None:
    if room != "__pycache__":
        assert f"\n| `{room}` |" in section("architecture.md", "Rooms")


def test_every_target_of_make_is_documented() -> None:
    (targets,) = re.findall(r"^\.PHONY: (.*)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    for target in targets.split():
        assert f"\n| `make {target}` |" in section("contributing.md", "Start")


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= LONGEST_README


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        file, _, anchor = target.partition("#")
        path = document.parent / file if file else document
        assert path.exists(), f"{document.name} links to {target}"
        if anchor:
            assert anchor in anchors(path), f"{document.name} links to {target}"


def test_a_document_that_the_readme_does_not_name_would_not_be_found() -> None:
    for document in DOCS.glob("*.md"):
        assert f"](docs/{document.name}" in README.read_text()


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def tracked_texts() -> list[Path]:
    """Python and Markdown files of the repository, this one left out; needs no git history."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*.py", "*.md"], cwd=REPOSITORY, capture_output=True, check=True
    )
    paths = (REPOSITORY / name for name in listed.stdout.decode().split("\0") if name)
    return [path for path in paths if path.is_file() and path != Path(__file__)]


def joined(text: str) -> str:
    """`text` on one line: sentences that go on in the next line or the next literal are whole."""
    return re.sub(r"\s+", " ", re.sub(r"\"\s*\n\s*f?\"", "", text))


def test_no_file_has_the_phrases_that_readers_had_to_decode() -> None:
    texts = {path: joined(path.read_text()) for path in tracked_texts()}
    assert README in texts
    matches = [
        f"{path.relative_to(REPOSITORY)}: {match[0]}"
        for path, text in texts.items()
        for phrase in PRIVATE_WORDS
        for match in re.finditer(phrase, text, re.IGNORECASE)
    ]
    assert not matches, "\n".join(matches)
