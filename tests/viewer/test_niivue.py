"""NiiVue is fetched once, checked, and a sentence says when it is missing."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from hemodetect.viewer import niivue


def package(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("package/dist/index.js")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, bytes]]:
    """A registry on this machine; the answer can be changed. The file lies in a folder of its own."""
    answer = {"body": package(b"export {}")}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == f"/@niivue/niivue/-/niivue-{niivue.VERSION}.tgz"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer["body"])

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setattr(niivue, "niivue_file", lambda: tmp_path / "share" / "niivue.js")
    yield answer
    server.shutdown()


def test_the_pinned_package_is_kept(
    registry: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = base64.b64encode(hashlib.sha512(registry["body"]).digest()).decode()
    monkeypatch.setattr(niivue, "_INTEGRITY", digest)
    file = niivue.fetch_niivue()
    assert file.read_bytes() == b"export {}"
    registry["body"] = b"not asked again"
    assert niivue.fetch_niivue() == file


def test_another_package_is_refused(registry: dict[str, bytes]) -> None:
    with pytest.raises(niivue.NoNiivue, match="is not the package"):
        niivue.fetch_niivue()
    assert not niivue.niivue_file().exists()


def test_a_missing_network_has_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(niivue, "niivue_file", lambda: tmp_path / "niivue.js")
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")
    with pytest.raises(niivue.NoNiivue, match="set NPM_CONFIG_REGISTRY"):
        niivue.fetch_niivue()


def test_the_registry_of_npms_own_settings_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("NPM_CONFIG_REGISTRY", "npm_config_registry"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert niivue._registry() == "https://registry.npmjs.org"
    (tmp_path / ".npmrc").write_text("fund=false\nregistry = https://npm.hospital.example/\n")
    assert niivue._registry() == "https://npm.hospital.example"
