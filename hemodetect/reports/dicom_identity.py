"""Identity of DICOM results: pseudonym, UIDs, and the words that every file carries.

The app keeps no identity from a header, so results that a person downloads form a study of their own
under the study's pseudonym. Results that go back to the PACS carry the identity of the study that came
from there (`OriginalIdentity`). UIDs of results are keyed hashes: the same results have the same UIDs,
and without the key nobody can test a guess against them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

from pydicom import dcmread
from pydicom.dataset import Dataset

from hemodetect import RESEARCH_USE_ONLY, __version__
from hemodetect.errors import UnreadableFile
from hemodetect.imaging.pseudonym import pseudonym

NOT_FOR_CARE = f"{RESEARCH_USE_ONLY} Not for care."
MANUFACTURER = "hemodetect"
_UTF_8 = "ISO_IR 192"


@dataclass(frozen=True)
class OriginalIdentity:
    """Whose study it is, by DICOM keyword; only for results that go back to where it came from."""

    values: tuple[tuple[str, str], ...]

    KEYWORDS = (
        "PatientID",
        "PatientName",
        "PatientBirthDate",
        "PatientSex",
        "StudyInstanceUID",
        "StudyID",
        "StudyDate",
        "StudyTime",
        "StudyDescription",
        "AccessionNumber",
        "ReferringPhysicianName",
    )

    @classmethod
    def of(cls, data: bytes) -> OriginalIdentity:
        """Of a DICOM file; raises `UnreadableFile` where it has no patient or study."""
        try:
            header = dcmread(
                BytesIO(data),
                stop_before_pixels=True,
                specific_tags=[*cls.KEYWORDS, "SpecificCharacterSet"],
            )
            values = tuple((name, str(header.get(name) or "")) for name in cls.KEYWORDS)
        except Exception:  # noqa: BLE001  a parser raises any error on damaged bytes, and quotes them
            raise UnreadableFile("The identity of the study cannot be read.") from None
        if not dict(values)["StudyInstanceUID"]:
            raise UnreadableFile("The study has no UID, so results cannot be sent to it.")
        return cls(values)

    def __repr__(self) -> str:
        return "OriginalIdentity(...)"


@dataclass(frozen=True)
class ResultSet:
    """What all DICOM files of one set of results share.

    Attributes:
        study: pseudonym of the study.
        when: time of creation, with its time zone.
        content: texts that stand for everything in the files; they decide the UIDs.
        identity: of the study that the results belong to; None for results under the pseudonym.
    """

    study: str
    when: datetime
    content: tuple[str, ...]
    identity: OriginalIdentity | None = None

    def uid(self, role: str) -> str:
        """UID of the object with this role in the set; the same content gives the same UID."""
        return keyed_uid(role, self.study, *self.content)

    def label(self, data_set: Dataset, series: str) -> None:
        """Writes study, time and purpose into `data_set`; replaces earlier values."""
        data_set.SpecificCharacterSet = _UTF_8
        for event in ("InstanceCreation", "Study", "Series", "Content"):
            setattr(data_set, f"{event}Date", self.when.strftime("%Y%m%d"))
            setattr(data_set, f"{event}Time", self.when.strftime("%H%M%S"))
        data_set.TimezoneOffsetFromUTC = self.when.strftime("%z")[:5]
        data_set.PatientID = data_set.PatientName = self.study
        data_set.PatientBirthDate = data_set.PatientSex = ""
        data_set.StudyInstanceUID, data_set.StudyID = self.uid("study"), self.study[:16]
        data_set.AccessionNumber = data_set.ReferringPhysicianName = ""
        data_set.StudyDescription = f"{MANUFACTURER} results, research use only, not for care"
        data_set.SeriesDescription = f"{MANUFACTURER} {series}, research use only, not for care"
        for keyword, value in self.identity.values if self.identity else ():
            setattr(data_set, keyword, value)
        data_set.ContentQualification = "RESEARCH"
        data_set.Manufacturer = data_set.ManufacturerModelName = MANUFACTURER
        data_set.SoftwareVersions = __version__


def keyed_uid(role: str, *content: str) -> str:
    """2.25.<integer> of the keyed hash: a UUID of version 8 (RFC 9562, 5.8), see PS3.5, B.2."""
    parts = (pseudonym(f"result-uid-{part}", role, *content) for part in range(4))
    number = int("".join(part.rsplit("-", 1)[1] for part in parts)[:32], 16)
    number = number & ~(0xF << 76) | 8 << 76
    number = number & ~(0b11 << 62) | 0b10 << 62
    return f"2.25.{number}"
