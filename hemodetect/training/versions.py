"""What a training was run with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version


def installed(libraries: Iterable[str]) -> dict[str, str]:
    """Versions of the libraries that are installed: TensorFlow comes under several names."""
    versions = {}
    for library in libraries:
        with contextlib.suppress(PackageNotFoundError):
            versions[library] = version(library)
    return versions
