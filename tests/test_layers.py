"""Imports point one way: a package imports only packages of lower levels."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

LEVELS = (
    ("app.py", "router.py", "hemodetect.__main__"),
    ("cli", "app_pages"),
    ("pacs",),
    ("reports",),
    ("figures", "viewer"),
    ("validation",),
    ("prediction", "reviews", "training"),
    ("explain", "evaluation"),
    ("registry",),
    ("models",),
    ("dataset",),
    ("inputcheck",),
    ("preprocessing",),
    ("imaging", "phantom"),
    ("storage",),
    ("settings", "errors"),
    ("hemodetect",),
)
"""From top to bottom. The last is `hemodetect/__init__.py`: the version and one sentence."""

WITHIN_A_LEVEL = {("reviews", "prediction"), ("phantom", "imaging"), ("settings", "errors")}
"""The only imports (importer, imported) between packages of one level."""

LEVEL_OF = {package: level for level, packages in enumerate(LEVELS) for package in packages}


@dataclass(frozen=True)
class Import:
    """One import of a module, wherever it stands in the file.

    Attributes:
        file: path under the repository.
        line: of the import statement.
        importer: package of the file.
        module: the imported module's full name.
    """

    file: str
    line: int
    importer: str
    module: str

    @property
    def imported(self) -> str | None:
        """Our package that is imported; None for modules of others."""
        parts = self.module.split(".")
        return (
            package_of(parts) if parts[0] in ("app", "router", "app_pages", "hemodetect") else None
        )


def package_of(parts: list[str]) -> str:
    """Name in `LEVELS` of the module whose dotted name has these parts."""
    if parts[0] != "hemodetect":
        return f"{parts[0]}.py" if parts[0] in ("app", "router") else parts[0]
    if parts[1:] == ["__main__"]:
        return "hemodetect.__main__"
    return parts[1] if len(parts) > 1 else "hemodetect"


def imports_below(root: Path) -> list[Import]:
    """All imports of `app.py`, `router.py`, `app_pages` and `hemodetect` under `root`."""
    files = [
        *root.glob("app.py"),
        *root.glob("router.py"),
        *root.glob("app_pages/**/*.py"),
        *root.glob("hemodetect/**/*.py"),
    ]
    return [item for file in sorted(files) for item in _imports_of(file, root)]


def _imports_of(file: Path, root: Path) -> Iterator[Import]:
    path = file.relative_to(root)
    parts = list(path.with_suffix("").parts)
    folder = parts[:-1]
    importer = package_of(folder if parts[-1] == "__init__" else parts)
    # ast.walk also visits function bodies and `if TYPE_CHECKING:`.
    for node in ast.walk(ast.parse(file.read_text(), str(path))):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = folder[: len(folder) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            # `from hemodetect import cli` imports a package, `... import __version__` a value.
            modules = [
                f"hemodetect.{alias.name}"
                if base == "hemodetect" and alias.name in LEVEL_OF
                else base
                for alias in node.names
            ]
        for module in sorted(set(modules)):
            yield Import(path.as_posix(), node.lineno, importer, module)


def forbidden_imports(imports: list[Import]) -> list[str]:
    """A line for every import that points up, sideways, or at a package without a level."""
    lines = []
    for item in imports:
        where, imported = f"{item.file}:{item.line}", item.imported
        if imported is None or imported == item.importer:
            continue
        unplaced = [name for name in (item.importer, imported) if name not in LEVEL_OF]
        if unplaced:
            lines.append(f"{where}: {unplaced[0]} has no level; add it to LEVELS")
        elif LEVEL_OF[imported] <= LEVEL_OF[item.importer] and (
            (item.importer, imported) not in WITHIN_A_LEVEL
        ):
            lines.append(f"{where}: {item.importer} must not import {imported} ({item.module})")
    return lines


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    return imports_below(REPOSITORY)


def test_every_import_points_to_a_lower_level(imports: list[Import]) -> None:
    forbidden = forbidden_imports(imports)
    assert not forbidden, "\n".join(forbidden)


@pytest.mark.parametrize(
    "statement",
    [
        "import hemodetect.cli",
        "from hemodetect import cli",
        "from hemodetect.cli import main",
        "from ..cli import main",
        "from .. import cli",
        "def late():\n    from hemodetect.cli import main",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from hemodetect.cli import main",
    ],
)
def test_a_forbidden_import_is_caught_with_its_file_and_line(
    tmp_path: Path, statement: str
) -> None:
    package = tmp_path / "hemodetect" / "storage"
    shutil.copytree(REPOSITORY / "hemodetect" / "storage", package)
    assert not forbidden_imports(imports_below(tmp_path))
    file = package / "people.py"
    file.write_text(f"{file.read_text().rstrip()}\n{statement}\n")
    line = len(file.read_text().splitlines())
    assert forbidden_imports(imports_below(tmp_path)) == [
        f"hemodetect/storage/people.py:{line}: storage must not import cli (hemodetect.cli)"
    ]


def test_a_package_without_a_level_is_caught(tmp_path: Path) -> None:
    module = tmp_path / "hemodetect" / "storage" / "database.py"
    module.parent.mkdir(parents=True)
    module.write_text("from hemodetect.cloud import upload\n")
    assert forbidden_imports(imports_below(tmp_path)) == [
        "hemodetect/storage/database.py:1: cloud has no level; add it to LEVELS"
    ]


def test_no_packages_import_each_other_in_a_cycle(imports: list[Import]) -> None:
    graph: dict[str, set[str]] = {}
    for item in imports:
        if item.imported is not None and item.imported != item.importer:
            graph.setdefault(item.importer, set()).add(item.imported)
    TopologicalSorter(graph).prepare()  # raises CycleError, which lists the cycle


def test_the_library_never_imports_streamlit(imports: list[Import]) -> None:
    streamlit = [
        f"{item.file}:{item.line}"
        for item in imports
        if item.file.startswith("hemodetect/") and item.module.split(".")[0] == "streamlit"
    ]
    assert not streamlit, "\n".join(streamlit)
