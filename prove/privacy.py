"""Identifiers are planted wherever a file can hold them, and looked for in all that the program leaves.

The JSON and the terminal text of `hemodetect predict` name the files that the same person named to it;
they are not searched for file names.

One study goes the way of an upload (read, judged, exported in every format, saved for a review session)
and the way of the worklist (received, judged). Then every file of the state and cache folders, every
export, every log line and every printed line is searched. The encrypted files of the worklist are
searched too: as they lie on the disk.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from PIL import Image, PngImagePlugin
from pydicom import dcmread
from pydicom.dataset import Dataset

from prove.outcome import Outcome

PLANTED = {
    "PatientName": "Zyxwald^Quentin",
    "PatientID": "QX4711-77",
    "OtherPatientNames": "Altzyx^Quentin",
    "PatientBirthDate": "19330317",
    "PatientAddress": "Zyxgasse 17",
    "PatientTelephoneNumbers": "0199 4477 31",
    "AccessionNumber": "ACCZYX9911",
    "StudyDate": "20230911",
    "StudyID": "STUZYX88",
    "StudyInstanceUID": "1.2.826.0.1.3680043.8.498.77001",
    "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.77002",
    "FrameOfReferenceUID": "1.2.826.0.1.3680043.8.498.77003",
    "InstitutionName": "Zyxklinik Nord",
    "ReferringPhysicianName": "Refzyx^Doktor",
    "OperatorsName": "Operzyx^Olga",
    "StationName": "STATZYX1",
    "StudyDescription": "Schadel Zyxwald Kontrolle",
    "SeriesDescription": "Serie fur Zyxwald",
    "ProtocolName": "Protzyx 5",
    "ImageComments": "Zyxwald besprochen",
    "DeviceSerialNumber": "SERZYX5512",
}
INSTANCE = "1.2.826.0.1.3680043.8.498.7799"
PRIVATE, FILE, FOLDER = "Privzyx geheim", "zyxdatei", "zyxordner"
PICTURE_TEXT = "Exifzyx 1933"
NAME_FILES = ("export json", "export text")
"""They name the files on purpose."""


def planted_identifiers(full: bool) -> Outcome:
    """See above."""
    log, printed = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.DEBUG)
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            _own_folders(Path(folder)),
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
        ):
            left = _everything(Path(folder))
            left |= {
                str(path.relative_to(folder)): path.read_bytes()
                for path in Path(folder).rglob("*")
                if path.is_file()
            }
    finally:
        logging.getLogger().removeHandler(handler)
        logging.getLogger().setLevel(logging.WARNING)
    left |= {"log": log.getvalue().encode(), "printed": printed.getvalue().encode()}
    words = _words()
    found = sorted(
        {
            f"{word!r} in {name}"
            for name, content in left.items()
            for word in words
            if not (name in NAME_FILES and word in (FILE, FOLDER))
            if _holds(content, word) or word.lower() in name.lower()
        }
    )
    figure = f"{len(words)} planted, {len(found)} found in {len(left)} files, exports and logs"
    return Outcome(figure + (f" ({'; '.join(found[:4])})" if found else ""), not found)


def _words() -> list[str]:
    parts = [part for value in PLANTED.values() for part in value.split("^")]
    return [*parts, INSTANCE, PRIVATE, FILE, FOLDER, PICTURE_TEXT]


def _holds(content: bytes, word: str) -> bool:
    """As text of one or two bytes a letter, whatever the case, also in what a PDF compresses."""
    small = content.lower()
    if any(word.lower().encode(code) in small for code in ("utf-8", "utf-16-le")):
        return True
    if not content.startswith(b"%PDF"):
        return False
    for part in content.split(b"stream")[1:]:
        with contextlib.suppress(zlib.error):
            if word.lower().encode() in zlib.decompress(part.strip(b"\r\n")).lower():
                return True
    return False


@contextlib.contextmanager
def _own_folders(folder: Path) -> Iterator[None]:
    from hemodetect.settings import settings
    from hemodetect.storage.database import _engine

    before = dict(os.environ)
    os.environ["HEMODETECT_STATE"] = str(folder / "state")
    os.environ["HEMODETECT_CACHE"] = str(folder / "cache")
    os.environ["HEMODETECT_DATABASE_URL"] = ""
    settings.cache_clear()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        settings.cache_clear()
        _engine.cache_clear()


def _everything(folder: Path) -> dict[str, bytes]:
    """Sends the study every way; returns what was exported."""
    from hemodetect.explain.heat_maps import study_maps
    from hemodetect.imaging import UploadedFile, read_study
    from hemodetect.models.series_cache import SeriesCache
    from hemodetect.pacs import inbox, judging, worklist
    from hemodetect.prediction.study_prediction import predict_study
    from hemodetect.registry.releases import load_releases
    from hemodetect.reports.dicom_results import dicom_results
    from hemodetect.reports.predictions import prediction_csv, prediction_json, prediction_text
    from hemodetect.reports.study_pdf import study_pdf
    from hemodetect.reports.study_pictures import slice_pictures
    from hemodetect.reviews.saved import save_study
    from hemodetect.settings import settings
    from hemodetect.storage.people import local_person

    models = load_releases(settings().artifacts).models
    files = _files()
    cache = SeriesCache()
    study = read_study([UploadedFile(name, data) for name, data in files.items()])
    prediction = predict_study(study, models, cache=cache)
    pictures = slice_pictures(prediction, study_maps(models["cnn"], study.slices, cache))
    cards = {family: model.card for family, model in models.items()}
    when = datetime(2026, 11, 27, tzinfo=UTC)
    exports: dict[str, str | bytes] = {
        "csv": prediction_csv(prediction),
        "json": json.dumps(prediction_json(prediction)),
        "text": prediction_text(prediction, "a study"),
        "pdf": study_pdf(prediction, cards, pictures, [], when, {}),
        "refused": "".join(refused.reason for refused in study.refused),
        **dicom_results(prediction, pictures, None, when),
    }
    save_study(study, local_person("Dr. Weiss"))
    _pictures_read()
    for name, data in files.items():
        if name.endswith(".dcm"):
            received = inbox.described(data)
            worklist.arriving(received.study, "CT1@10.0.0.5")
            inbox.store(received, data)
    worklist.complete(received.study)
    waiting = worklist.next_to_judge()
    assert waiting is not None
    judging.judge(waiting, models)
    return {
        f"export {name}": data if isinstance(data, bytes) else data.encode()
        for name, data in exports.items()
    }


def _files() -> dict[str, bytes]:
    """A phantom's series with all identifiers, and a damaged file; names say whose they are."""
    from hemodetect.phantom.files import dicom_files
    from hemodetect.phantom.head import Bleed, head_phantom

    phantom = head_phantom(
        [Bleed("intraparenchymal", 40)], slices=24, size=192, pixel_spacing_mm=1.2
    )
    files = {}
    for number, (_, data) in enumerate(dicom_files(phantom)):
        header = dcmread(io.BytesIO(data))
        for keyword, value in PLANTED.items():
            setattr(header, keyword, value)
        header.SOPInstanceUID = f"{INSTANCE}.{number + 1}"
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        block = header.private_block(0x0029, "ZYX PRIVATE", create=True)
        block.add_new(0x01, "LO", PRIVATE)
        item = Dataset()
        item.PatientName = PLANTED["PatientName"]
        header.RequestAttributesSequence = [item]
        written = io.BytesIO()
        header.save_as(written, enforce_file_format=True)
        files[f"{FOLDER}/{FILE}{number:03}.dcm"] = written.getvalue()
    damaged = next(iter(files.values()))[:900]
    return {**files, f"{FOLDER}/{FILE}-damaged": damaged}


def _pictures_read() -> None:
    """Pictures whose own notes name the patient."""
    from hemodetect.imaging import UploadedFile, read_study
    from hemodetect.phantom.files import picture_files
    from hemodetect.phantom.head import head_phantom

    uploads = []
    for name, data in picture_files(head_phantom(slices=3, size=96, pixel_spacing_mm=2.4), ".png"):
        picture = Image.open(io.BytesIO(data))
        notes = PngImagePlugin.PngInfo()
        notes.add_text("Patient", PICTURE_TEXT)
        exif = Image.Exif()
        exif[0x010E] = PICTURE_TEXT
        as_png, as_jpeg = io.BytesIO(), io.BytesIO()
        picture.save(as_png, "PNG", pnginfo=notes)
        picture.save(as_jpeg, "JPEG", exif=exif, comment=PICTURE_TEXT)
        uploads.append(UploadedFile(f"{FOLDER}/{name}", as_png.getvalue()))
        uploads.append(UploadedFile(f"{FOLDER}/{name}.jpg", as_jpeg.getvalue()))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.comment = PICTURE_TEXT.encode()
        for upload in uploads:
            archive.writestr(upload.name, upload.data)
    read_study([UploadedFile(f"{FILE}.zip", packed.getvalue())])
