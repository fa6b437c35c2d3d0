"""NiiVue, which draws the slices: fetched once at set-up, checked by its hash, never committed.

    python -m hemodetect.viewer.niivue

It is one file of the package @niivue/niivue (BSD-2-Clause). The registry of npm is asked, or the one
that npm's own setting names (NPM_CONFIG_REGISTRY, or `registry=` in ~/.npmrc).
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import sys
import tarfile
import urllib.request
from pathlib import Path

from hemodetect.errors import HemodetectError
from hemodetect.storage.whole_file import whole_file

VERSION = "0.69.0"
_INTEGRITY = (
    "YMjQvJgD1W2b7DuoxkwlC4VxbrgIePRJ5qyQzXKxi2v2MBVg285P/CIQyg46oDDGDIcaNlbd+MhtO/edMbXJkA=="
)
"""SHA-512 of the package's archive, as the registry states it."""
_MEMBER = "package/dist/index.js"
_LARGEST_ARCHIVE = 32_000_000  # bytes; it has 6.8 million
_TIMEOUT_S = 60
_REGISTRY = "https://registry.npmjs.org"


class NoNiivue(HemodetectError):
    """NiiVue could not be fetched."""


def niivue_file() -> Path:
    """Where the file lies, or would: in this Python environment."""
    return Path(sys.prefix) / "share" / "hemodetect" / f"niivue-{VERSION}.js"


def fetch_niivue() -> Path:
    """Fetches the file unless it is there.

    Raises:
        NoNiivue: the registry does not answer, or what it sent is not the pinned package.
    """
    file = niivue_file()
    if file.is_file():
        return file
    address = f"{_registry()}/@niivue/niivue/-/niivue-{VERSION}.tgz"
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer:
            archive = answer.read(_LARGEST_ARCHIVE)
    except OSError as error:
        raise NoNiivue(
            f"NiiVue, the viewer of slices, cannot be fetched from {address} ({error}). Connect this"
            " machine to the network, or set NPM_CONFIG_REGISTRY to a registry that it reaches, and"
            " run the command again. Without it the app shows slices in a plain view."
        ) from error
    digest = base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if digest != _INTEGRITY:
        raise NoNiivue(
            f"{address} is not the package that is expected (SHA-512 {digest[:12]}..., expected"
            f" {_INTEGRITY[:12]}...). Ask who runs this registry."
        )
    with tarfile.open(fileobj=io.BytesIO(archive)) as package:
        member = package.extractfile(_MEMBER)
        assert member is not None
        content = member.read()
    with whole_file(file) as partial:
        partial.write_bytes(content)
    return file


def _registry() -> str:
    for name in ("NPM_CONFIG_REGISTRY", "npm_config_registry"):
        if os.environ.get(name):
            return os.environ[name].rstrip("/")
    settings = Path.home() / ".npmrc"
    lines = settings.read_text().splitlines() if settings.is_file() else []
    for line in lines:
        name, _, value = line.partition("=")
        if name.strip() == "registry" and value.strip():
            return value.strip().rstrip("/")
    return _REGISTRY


if __name__ == "__main__":
    try:
        fetch_niivue()
    except NoNiivue as error:
        sys.exit(str(error))
