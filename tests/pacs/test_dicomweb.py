"""A PACS is asked, its series are read, and it keeps results; what it answers wrongly is a sentence."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pacs_peers import PASSWORD, USER, Orthanc, change, patient_files, small_phantom

from hemodetect.imaging import read_study
from hemodetect.pacs.dicomweb import MOST_STUDIES, Pacs, StudyQuery
from hemodetect.pacs.outcomes import PacsError, Unreachable
from hemodetect.phantom.head import Bleed
from hemodetect.settings import MIB

WEBNER = {"patient": "web-1", "name": "Wébner^Ida"}


@pytest.fixture(scope="module")
def study(orthanc: Orthanc) -> dict[str, bytes]:
    """A study of three series: thick slices, thin ones, and a localizer."""
    uid = "1.2.826.0.1.3680043.8.498.4711"
    thick = patient_files(
        small_phantom((Bleed("epidural", 30),)), **WEBNER,
        StudyInstanceUID=uid, SeriesInstanceUID=f"{uid}.1", SeriesNumber=1,
    )  # fmt: skip
    thin = patient_files(
        small_phantom((Bleed("epidural", 30),), seed=1, slices=40, spacing_mm=3.0), **WEBNER,
        StudyInstanceUID=uid, SeriesInstanceUID=f"{uid}.2", SeriesNumber=2,
    )  # fmt: skip
    localizer = patient_files(
        small_phantom(slices=2, seed=2), **WEBNER, StudyInstanceUID=uid,
        SeriesInstanceUID=f"{uid}.3", SeriesNumber=3, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
    )  # fmt: skip
    files = {
        f"{number}/{name}": data
        for number, series in enumerate((thick, thin, localizer))
        for name, data in series.items()
    }
    orthanc.keep(files)
    return files


@pytest.fixture
def pacs(orthanc: Orthanc, state: pytest.MonkeyPatch, study: dict[str, bytes]) -> Pacs:
    change(state, dicomweb_url=orthanc.dicomweb, dicomweb_user=USER, dicomweb_password=PASSWORD)
    return Pacs()


@pytest.mark.parametrize(
    "query",
    [
        StudyQuery(patient_id="web-1"),
        StudyQuery(patient_id="web*"),
        StudyQuery(patient_name="*Ida"),
        StudyQuery(patient_name="W*Ida"),
        StudyQuery(accession_number="Aweb-1", first_day="20261119", last_day="20261121"),
    ],
)
def test_a_study_is_found_by_what_a_person_knows_of_it(pacs: Pacs, query: StudyQuery) -> None:
    (found,), more = pacs.studies(query)
    assert (found.patient_id, found.patient_name) == ("web-1", "Wébner^Ida")
    assert (found.date, found.images, more) == ("20261120", 66, False)


def test_what_is_not_there_is_not_found(pacs: Pacs) -> None:
    assert pacs.studies(StudyQuery(patient_id="nobody")) == ([], False)
    assert pacs.studies(StudyQuery(patient_id="web-1", first_day="20261201")) == ([], False)


def test_the_marked_series_is_the_one_that_would_be_read(
    pacs: Pacs, study: dict[str, bytes], tmp_path: Path
) -> None:
    (found,), _ = pacs.studies(StudyQuery(patient_id="web-1"))
    series = pacs.series(found.uid)
    assert [(one.images, one.proposed) for one in series] == [(40, True), (24, False), (2, False)]
    assert series[0].thickness_mm == 3
    for name, data in study.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert len(read_study(tmp_path).slices) == 40
    counted: list[int] = []
    fetched = read_study(pacs.files(found.uid, series[0].uid, counted.append))
    assert counted == list(range(1, 41))
    whole = read_study(tmp_path)
    assert fetched.id == whole.id
    for one, other in zip(fetched.slices, whole.slices, strict=True):
        assert (one.values == other.values).all()


def test_a_series_larger_than_a_study_may_be_is_not_fetched_further(
    pacs: Pacs, state: pytest.MonkeyPatch
) -> None:
    change(state, max_slices="10")
    (found,), _ = pacs.studies(StudyQuery(patient_id="web-1"))
    with pytest.raises(PacsError, match="HEMODETECT_MAX_SLICES"):
        Pacs().files(found.uid, f"{found.uid}.2")


def test_a_wrong_password_is_said(orthanc: Orthanc, state: pytest.MonkeyPatch) -> None:
    change(state, dicomweb_url=orthanc.dicomweb, dicomweb_user=USER, dicomweb_password="wrong")
    with pytest.raises(PacsError, match="HTTP 401"):
        Pacs().ask()


def test_a_pacs_that_is_off_is_unreachable(state: pytest.MonkeyPatch) -> None:
    change(state, dicomweb_url="http://127.0.0.1:9/dicom-web")
    with pytest.raises(Unreachable, match="does not answer"):
        Pacs().ask()


def test_without_an_address_it_is_said_what_to_set(state: pytest.MonkeyPatch) -> None:
    with pytest.raises(PacsError, match="HEMODETECT_DICOMWEB_URL"):
        Pacs()


@pytest.mark.parametrize("url", ["pacs", "ftp://pacs/x", "http://", "https://pacs:port/x"])
def test_an_address_that_is_none_is_a_sentence(state: pytest.MonkeyPatch, url: str) -> None:
    change(state, dicomweb_url=url)
    with pytest.raises(PacsError, match="HEMODETECT_DICOMWEB_URL"):
        Pacs().ask()


@contextmanager
def _server(
    answer: Callable[[BaseHTTPRequestHandler], None], context: ssl.SSLContext | None = None
) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}/dicom-web"
    finally:
        server.shutdown()
        server.server_close()


def _reply(kind: str, body: bytes, length: int | None = None, status: int = 200):
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def test_html_instead_of_dicomweb_is_a_sentence(state: pytest.MonkeyPatch) -> None:
    with _server(_reply("text/html", b"<html>Patient Mueller: sign in</html>")) as url:
        change(state, dicomweb_url=url)
        with pytest.raises(PacsError, match="not DICOMweb") as caught:
            Pacs().studies(StudyQuery(patient_id="1"))
    assert "Mueller" not in str(caught.value)


@pytest.mark.parametrize(("status", "match"), [(403, "403"), (404, "gone"), (503, "try again")])
def test_a_status_is_a_sentence(state: pytest.MonkeyPatch, status: int, match: str) -> None:
    with _server(_reply("text/plain", b"no", status=status)) as url:
        change(state, dicomweb_url=url)
        with pytest.raises(PacsError, match=match):
            Pacs().studies(StudyQuery())


@pytest.mark.parametrize(
    "body", [b"--x\r\nContent-Type: application/dicom\r\n\r\n" + bytes(300), b"--x\r\n", b""]
)
def test_a_multipart_that_is_cut_off_is_a_sentence(state: pytest.MonkeyPatch, body: bytes) -> None:
    kind = 'multipart/related; type="application/dicom"; boundary=x'
    with _server(_reply(kind, body, length=100_000)) as url:
        change(state, dicomweb_url=url)
        with pytest.raises(PacsError):
            Pacs().files("1.2.3", "1.2.4")


@pytest.mark.parametrize("kind", ['multipart/related; type="application/dicom"; boundary=x', ""])
def test_an_answer_without_an_end_is_given_up(state: pytest.MonkeyPatch, kind: str) -> None:
    sent = 0

    def endless(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        handler.send_response(200)
        handler.send_header("Content-Type", kind or "application/dicom+json")
        handler.end_headers()
        with suppress(OSError):
            handler.wfile.write(b"--x\r\nContent-Type: application/dicom\r\n\r\n")
            while sent < 200 * MIB:
                handler.wfile.write(bytes(MIB))
                sent += MIB

    with _server(endless) as url:
        change(state, dicomweb_url=url, max_study_bytes=str(2 * MIB))
        with pytest.raises(PacsError, match="larger than"):
            Pacs().files("1.2.3", "1.2.4") if kind else Pacs().studies(StudyQuery())
    assert sent < 100 * MIB


def test_of_ten_thousand_results_the_first_are_shown_and_it_is_said(
    state: pytest.MonkeyPatch,
) -> None:
    studies = [{"0020000D": {"vr": "UI", "Value": [f"1.2.{n}"]}} for n in range(10_000)]
    body = json.dumps(studies).encode()
    with _server(_reply("application/dicom+json", body)) as url:
        change(state, dicomweb_url=url)
        found, more = Pacs().studies(StudyQuery())
    assert (len(found), more) == (MOST_STUDIES, True)


@pytest.mark.parametrize("value", ["x", 7, {}, [{"0020000D": 5}], [{"zz": {"vr": "UI"}}], [[]]])
def test_json_of_another_shape_is_a_sentence(state: pytest.MonkeyPatch, value: object) -> None:
    body = json.dumps(value).encode()
    with _server(_reply("application/dicom+json", body)) as url:
        change(state, dicomweb_url=url)
        try:
            found, _ = Pacs().studies(StudyQuery())
        except PacsError:
            return
    assert all(not study.uid for study in found)


def test_a_certificate_of_nobody_known_is_a_sentence(
    state: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key,
         "-out", certificate, "-subj", "/CN=pacs", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with _server(_reply("application/dicom+json", b"[]"), context) as url:
        change(state, dicomweb_url=url)
        with pytest.raises(PacsError, match="HEMODETECT_DICOMWEB_CA"):
            Pacs().ask()
        change(state, dicomweb_ca=str(certificate))
        Pacs().ask()
