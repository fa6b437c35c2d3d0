"""What a training was run with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version


def installed(libraries: Iterable[str]) -> dict[str, str]:
    """Versions of those that are there: TensorFlow comes under several names."""
    found = {}
    for library in libraries:
        with contextlib.suppress(PackageNotFoundError):
            found[library] = version(library)
    return found
