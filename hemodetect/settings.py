"""Every limit, path and URL, with its default and its environment variable.

A value comes from the environment (``HEMODETECT_<NAME>``), else from the table ``[hemodetect]`` of
``.streamlit/secrets.toml`` in the working directory, else from the default. Nothing needs to be set.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path, user_data_path

from hemodetect.errors import SettingError

SECRETS_FILE = Path(".streamlit/secrets.toml")
PREFIX = "HEMODETECT_"
MIB = 1024 * 1024
_ROOT = Path(__file__).resolve().parent.parent


def _setting(
    default: Any, description: str, *, minimum: int | None = None, secret: bool = False
) -> Any:
    metadata = {"description": description, "minimum": minimum}
    return field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True)
class Settings:
    """The current values. ``documented()`` lists them with their variables and meaning."""

    artifacts: Path = _setting(
        _ROOT / "artifacts",
        "folder of the released bundles",
    )
    data: str = _setting(
        os.pathsep.join(str(_ROOT / folder) for folder in ("data", "../shared/data")),
        "folders that hold data sets, separated as in PATH; the pages show a slice's picture"
        " from there",
    )
    cache: Path = _setting(
        user_cache_path("hemodetect"), "folder for decoded data sets; may be deleted at any time"
    )
    state: Path = _setting(
        user_data_path("hemodetect"),
        "folder for permanent data: the key of the pseudonyms, jobs, the database",
    )
    database_url: str = _setting(
        "",
        "URL of the database, as for SQLAlchemy; empty: a SQLite file in `state`",
        secret=True,
    )
    pseudonym_key: str = _setting(
        "",
        "secret key of the pseudonyms; empty: created once and stored in `state`",
        secret=True,
    )
    dicomweb_url: str = _setting(
        "", "address of the PACS's DICOMweb service, e.g. https://pacs/dicom-web; empty: none"
    )
    dicomweb_user: str = _setting("", "user name for the DICOMweb service", secret=True)
    dicomweb_password: str = _setting("", "password for the DICOMweb service", secret=True)
    dicomweb_token: str = _setting(
        "", "bearer token for the DICOMweb service, instead of a password", secret=True
    )
    dicomweb_ca: str = _setting(
        "",
        "file of the certificate authority that signed the DICOMweb service's certificate; empty:"
        " those that this system trusts",
    )
    ae_title: str = _setting("HEMODETECT", "DICOM name (AE title) of this program")
    receive_port: int = _setting(11_112, "port of `hemodetect receive`", minimum=1)
    receive_from: str = _setting(
        "",
        "who may send studies: AE titles with addresses, separated by commas (CT1@10.0.0.5,"
        " PACS@10.0.0.9); *: everybody; empty: nobody",
    )
    receive_certificate: str = _setting(
        "", "certificate file of `hemodetect receive`; empty: no TLS"
    )
    receive_key: str = _setting("", "file of the certificate's private key")
    receive_ca: str = _setting(
        "", "file of the authority whose certificates senders must show; empty: none asked for"
    )
    quiet_seconds: int = _setting(
        60,
        "seconds without a new file after which a study counts as complete although its sender has not"
        " said so",
        minimum=1,
    )
    worklist_days: int = _setting(
        7, "days until a study of the worklist is removed, with its images", minimum=1
    )
    seal_key: str = _setting(
        "",
        "secret key that received studies are encrypted with; empty: created once and stored in"
        " `state`",
        secret=True,
    )
    send_to: str = _setting(
        "",
        "where results are sent: dicomweb (to HEMODETECT_DICOMWEB_URL), or an AE title with address and"
        " port (PACS@10.0.0.9:104); empty: nowhere",
    )
    send_automatically: int = _setting(
        0,
        "1: the results of every study of the worklist are sent without being asked for",
        minimum=0,
    )
    ray_address: str = _setting(
        "",
        "Ray cluster that jobs are sent to, e.g. http://head:8265; empty: jobs run on this machine",
    )
    readers: str = _setting(
        "*",
        "e-mail addresses of readers of review sessions, separated by commas; *: everybody who"
        " signs in",
    )
    leads: str = _setting(
        "", "e-mail addresses of leads, who create review sessions and see their results"
    )
    trainers: str = _setting("", "e-mail addresses of trainers, who train models and promote them")
    retention_days: int = _setting(
        90, "days until a study saved to a review session is removed", minimum=1
    )
    max_files: int = _setting(5_000, "files in one study", minimum=1)
    max_slices: int = _setting(3_000, "slices in one study, frames included", minimum=1)
    max_file_bytes: int = _setting(512 * MIB, "bytes of one file, unpacked", minimum=1)
    max_study_bytes: int = _setting(2_048 * MIB, "bytes of one study, unpacked", minimum=1)
    max_slice_pixels: int = _setting(4_096 * 4_096, "pixels of one slice", minimum=1)
    max_set_files: int = _setting(100_000, "files in an uploaded labelled set", minimum=1)
    max_set_bytes: int = _setting(
        20_480 * MIB, "bytes of an uploaded labelled set, unpacked", minimum=1
    )
    max_zip_ratio: int = _setting(200, "unpacked size over packed size of a zip entry", minimum=1)
    max_zip_depth: int = _setting(1, "zips inside zips that are opened (0: none)", minimum=0)

    @classmethod
    def load(cls, environment: Mapping[str, str], secrets: Mapping[str, Any]) -> Settings:
        """Settings from both sources; raises `SettingError` with the variable and the value."""
        values = {}
        for f in fields(cls):
            variable = PREFIX + f.name.upper()
            raw = environment.get(variable, secrets.get(f.name))
            if raw is not None and not (raw == "" and isinstance(f.default, Path)):
                values[f.name] = _parsed(f, variable, str(raw))
        return cls(**values)

    @classmethod
    def documented(cls) -> list[tuple[str, str, str]]:
        """(environment variable, default, meaning) of every setting."""
        return [
            (PREFIX + f.name.upper(), str(f.default), f.metadata["description"])
            for f in fields(cls)
        ]


def _parsed(f: Field[Any], variable: str, raw: str) -> Any:
    if isinstance(f.default, Path):
        return Path(raw).expanduser()
    if not isinstance(f.default, int):
        return raw
    minimum = f.metadata["minimum"]
    try:
        value = int(raw)
    except ValueError:
        value = None
    if value is None or value < minimum:
        raise SettingError(f"{variable} is {raw!r}; expected a whole number of at least {minimum}.")
    return value


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    secrets: Mapping[str, Any] = {}
    if SECRETS_FILE.is_file():
        try:
            secrets = tomllib.loads(SECRETS_FILE.read_text()).get("hemodetect", {})
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingError(f"{SECRETS_FILE} is not valid TOML: {error}.") from error
        if not isinstance(secrets, Mapping):
            raise SettingError(f"{SECRETS_FILE}: hemodetect is {secrets!r}; expected a table.")
    return Settings.load(os.environ, secrets)
