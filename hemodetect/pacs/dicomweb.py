"""Asks a PACS over DICOMweb: which studies it has (QIDO-RS), their images (WADO-RS), and keeps results
there (STOW-RS).

What it answers is shown to the person who asked, and not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread
from pydicom.dataset import Dataset

from hemodetect.errors import HemodetectError, UnreadableFile
from hemodetect.imaging import UploadedFile
from hemodetect.imaging.headers import Header, header_of
from hemodetect.imaging.whole_series import reading_rank
from hemodetect.pacs.outcomes import PacsError, Refused, Unreachable, check_taken
from hemodetect.settings import MIB, Settings, settings

MOST_STUDIES = 100
"""Studies of one search that are shown."""
_REST = MIB  # of an answer, besides its images
_SECONDS = (10, 60)  # to connect, and between two pieces of an answer
_ORIGINAL = (("application/dicom", "*"),)  # compressed as the PACS has it


@dataclass(frozen=True)
class StudyQuery:
    """What a person looks for; "" stands for anything. Names and numbers may hold *.

    Attributes:
        patient_id, patient_name, accession_number: as the PACS has them.
        first_day, last_day: of the study, YYYYMMDD.
    """

    patient_id: str = ""
    patient_name: str = ""
    accession_number: str = ""
    first_day: str = ""
    last_day: str = ""

    @property
    def filters(self) -> dict[str, str]:
        """As QIDO-RS takes them."""
        days = f"{self.first_day}-{self.last_day}" if self.first_day or self.last_day else ""
        wanted = {
            "PatientID": self.patient_id,
            "PatientName": self.patient_name,
            "AccessionNumber": self.accession_number,
            "StudyDate": days,
            "ModalitiesInStudy": "CT",
        }
        return {name: value.strip() for name, value in wanted.items() if value.strip()}


@dataclass(frozen=True)
class PacsStudy:
    """A study as the PACS describes it; for the screen alone."""

    uid: str
    patient_id: str
    patient_name: str
    date: str
    time: str
    accession_number: str
    description: str
    images: int | None


@dataclass(frozen=True)
class PacsSeries:
    """A series as the PACS describes it; for the screen alone.

    Attributes:
        uid: of the series.
        number, description: as the PACS has them.
        images: number of them; None where the PACS does not say.
        thickness_mm: of its slices, where known.
        proposed: the series that `read_study` would choose, by the headers alone.
    """

    uid: str
    number: str
    description: str
    images: int | None
    thickness_mm: float | None = None
    proposed: bool = False


class Pacs:
    """The DICOMweb service of the settings."""

    def __init__(self, current: Settings | None = None) -> None:
        self._settings = current or settings()
        if not self._settings.dicomweb_url:
            raise PacsError("HEMODETECT_DICOMWEB_URL is empty; set it to the PACS's address.")
        session = requests.Session()
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(self._settings.max_study_bytes + _REST))
        if self._settings.dicomweb_token:
            session.headers["Authorization"] = f"Bearer {self._settings.dicomweb_token}"
        elif self._settings.dicomweb_user:
            session.auth = (self._settings.dicomweb_user, self._settings.dicomweb_password)
        if self._settings.dicomweb_ca:
            session.verify = self._settings.dicomweb_ca
            session.trust_env = False  # REQUESTS_CA_BUNDLE would replace it
        with _errors():
            self._client = DICOMwebClient(
                self._settings.dicomweb_url, session=session, timeout=_SECONDS, permissive_uid=True
            )
            # A person waits, and deliveries have tries of their own.
            self._client.set_http_retry_params(retry=False)

    def studies(self, query: StudyQuery) -> tuple[list[PacsStudy], bool]:
        """CT studies, newest first, and whether there are more than are shown.

        Raises:
            PacsError: see there.
        """
        with _errors():
            found = self._client.search_for_studies(
                search_filters=query.filters,
                limit=MOST_STUDIES + 1,
                fields=["StudyDescription", "ModalitiesInStudy", "NumberOfStudyRelatedInstances"],
            )
            listed = [_study(_data_set(item)) for item in found[: MOST_STUDIES + 1]]
        # A PACS of several parts may list a study twice.
        studies = [*{study.uid: study for study in listed if study.uid}.values()]
        studies.sort(key=lambda study: (study.date, study.time), reverse=True)
        return studies[:MOST_STUDIES], len(found) > MOST_STUDIES

    def series(self, study: str) -> list[PacsSeries]:
        """The CT series of a study; the one that would be read is marked, and comes first.

        Raises:
            PacsError: see there.
        """
        with _errors():
            found = self._client.search_for_series(
                study_instance_uid=study,
                search_filters={"Modality": "CT"},
                fields=["SeriesDescription", "NumberOfSeriesRelatedInstances"],
            )
            headers = [_data_set(item) for item in found]
            # Some ignore the filter, and results of ours are no images to read.
            listed = {
                one.uid: one
                for header in headers
                if _text(header, "Modality") in ("", "CT") and (one := _series(header)).uid
            }
            described = [self._described(study, one) for one in listed.values()]
        described.sort(key=lambda pair: pair[1])
        return [
            PacsSeries(
                one.uid, one.number, one.description, one.images, one.thickness_mm, place == 0
            )
            for place, (one, _) in enumerate(described)
        ]

    def files(
        self, study: str, series: str, progress: Callable[[int], None] = lambda _: None
    ) -> list[UploadedFile]:
        """The images of a series, for `read_study`.

        Args:
            study, series: their UIDs.
            progress: called with the number of images that have come.

        Raises:
            PacsError: see there, or the series is larger than a study may be.
        """
        files: list[UploadedFile] = []
        size = 0
        with _errors():
            images = self._client.iter_series(study, series, media_types=_ORIGINAL)
            for number, image in enumerate(images, start=1):
                file = BytesIO()
                image.save_as(file, enforce_file_format=True)
                files.append(UploadedFile(f"{number:05}.dcm", file.getvalue()))
                size += len(files[-1].data)
                if number > self._settings.max_slices or size > self._settings.max_study_bytes:
                    raise PacsError(
                        f"The series is larger than the {self._settings.max_slices:,} slices and"
                        f" {self._settings.max_study_bytes / MIB:,.0f} MiB that a study may have; raise"
                        " HEMODETECT_MAX_SLICES or HEMODETECT_MAX_STUDY_BYTES."
                    )
                progress(number)
        if not files:
            raise PacsError("The PACS sent no image of this series; search again.")
        return files

    def store(self, files: Mapping[str, bytes]) -> None:
        """Keeps DICOM files in the PACS.

        Raises:
            Refused: it will not take one of them.
            PacsError: it does not take them now.
        """
        with _errors():
            answer = self._client.store_instances([dcmread(BytesIO(f)) for f in files.values()])
        failed = answer.get("FailedSOPSequence", [])
        check_taken([int(item.get("FailureReason") or 0) for item in failed], "The PACS")
        if not failed and not answer.get("ReferencedSOPSequence"):
            raise PacsError("The PACS does not say that it took the results; it is asked again.")

    def ask(self) -> None:
        """Raises `PacsError` where the PACS does not answer a search."""
        with _errors():
            self._client.search_for_studies(limit=1)

    def _described(self, study: str, one: PacsSeries) -> tuple[PacsSeries, Any]:
        """The series with what its headers say, and its place in the order of reading."""
        metadata = self._client.retrieve_series_metadata(study, one.uid)
        headers = [h for item in metadata if (h := self._header(_data_set(item))) is not None]
        thickness = [
            g.thickness_mm for h in headers for f in h.frames if (g := f.geometry) is not None
        ]
        known = [value for value in thickness if value]
        described = PacsSeries(
            one.uid,
            one.number,
            one.description,
            len(headers) or one.images,
            float(np.median(known)) if known else None,
        )
        return described, (not headers, *reading_rank(headers, one.uid))

    def _header(self, header: Dataset) -> Header | None:
        header.PixelData = b""  # its size is of no interest here
        try:
            return header_of(header, self._settings)
        except UnreadableFile:
            return None


class _Adapter(requests.adapters.HTTPAdapter):
    """Sends * as it is, as RFC 3986 (3.4) allows: Orthanc does not decode it. Bounds each answer.

    Args:
        most: bytes of an answer.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """See `requests`."""
        path, question, query = (request.url or "").partition("?")
        request.url = path + question + query.replace("%2A", "*")
        response = super().send(request, *args, **kwargs)
        response.iter_content = self._limited(response.iter_content)  # type: ignore[method-assign]
        return response

    def _limited(self, pieces: Callable[..., Iterator[bytes]]) -> Callable[..., Iterator[bytes]]:
        def limited(*args: Any, **kwargs: Any) -> Iterator[bytes]:
            size = 0
            for piece in pieces(*args, **kwargs):
                size += len(piece)
                if size > self._most:
                    raise PacsError(
                        f"An answer of the PACS is larger than {self._most / MIB:,.0f} MiB; raise"
                        " HEMODETECT_MAX_STUDY_BYTES, or check HEMODETECT_DICOMWEB_URL."
                    )
                yield piece

        return limited


def _data_set(item: Mapping[str, Any]) -> Dataset:
    return Dataset.from_json(dict(item), bulk_data_uri_handler=lambda *_: b"")


def _study(header: Dataset) -> PacsStudy:
    return PacsStudy(
        uid=_text(header, "StudyInstanceUID"),
        patient_id=_text(header, "PatientID"),
        patient_name=_text(header, "PatientName"),
        date=_text(header, "StudyDate"),
        time=_text(header, "StudyTime"),
        accession_number=_text(header, "AccessionNumber"),
        description=_text(header, "StudyDescription"),
        images=_number(header, "NumberOfStudyRelatedInstances"),
    )


def _series(header: Dataset) -> PacsSeries:
    return PacsSeries(
        uid=_text(header, "SeriesInstanceUID"),
        number=_text(header, "SeriesNumber"),
        description=_text(header, "SeriesDescription"),
        images=_number(header, "NumberOfSeriesRelatedInstances"),
    )


def _text(header: Dataset, keyword: str) -> str:
    value = header.get(keyword)
    return "" if value is None else str(value)


def _number(header: Dataset, keyword: str) -> int | None:
    value = header.get(keyword)
    return None if value is None else int(value)


@contextmanager
def _errors() -> Iterator[None]:
    """Turns what can go wrong with a server into a sentence; its answer is never quoted."""
    try:
        yield
    except HemodetectError:
        raise
    except requests.exceptions.SSLError as error:
        raise PacsError(
            "The certificate of the PACS is not trusted; set HEMODETECT_DICOMWEB_CA to the file of the"
            " authority that signed it, or correct the address."
        ) from error
    except requests.exceptions.HTTPError as error:
        raise _of_status(error) from error
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
        raise Unreachable(
            "The PACS does not answer (HEMODETECT_DICOMWEB_URL). Is it running, and can this machine"
            " reach it?"
        ) from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise Unreachable("The answer of the PACS was cut off; try again.") from error
    except Exception as error:
        raise PacsError(
            "The PACS answered something that is not DICOMweb, or its answer was cut off"
            f" ({type(error).__name__}). Check HEMODETECT_DICOMWEB_URL; try again."
        ) from error


def _of_status(error: requests.exceptions.HTTPError) -> PacsError:
    status = error.response.status_code if error.response is not None else 0
    if status in (401, 403):
        return PacsError(
            f"The PACS refuses this program (HTTP {status}); check HEMODETECT_DICOMWEB_USER and"
            " HEMODETECT_DICOMWEB_PASSWORD, or HEMODETECT_DICOMWEB_TOKEN."
        )
    if status == 404:
        return PacsError(
            "The PACS does not know this (HTTP 404): the study is gone, or HEMODETECT_DICOMWEB_URL is"
            " not the address of its DICOMweb service."
        )
    if status == 409:
        return Refused("The PACS refuses the results (HTTP 409).")
    if status >= 500 or status in (408, 429):
        return Unreachable(f"The PACS cannot answer now (HTTP {status}); try again.")
    return PacsError(f"The PACS refuses the request (HTTP {status}).")
