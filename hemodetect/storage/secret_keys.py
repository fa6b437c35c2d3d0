"""Secret keys: given in the settings, or made once and kept in the state folder."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hemodetect.errors import SettingError
from hemodetect.storage.whole_file import write_once

FEWEST_BYTES = 32


@dataclass(frozen=True)
class KeptKey:
    """A key that is made on first use.

    Attributes:
        name: what it is the key of, for a sentence.
        file_name: of its file in the state folder.
        variable: of the setting that replaces the file.
        when_lost: what follows from a new key.
    """

    name: str
    file_name: str
    variable: str
    when_lost: str

    def read(self, state: Path) -> bytes:
        """The key in `state`. The first of several processes to make it wins.

        Raises:
            SettingError: it can be neither read nor made, or is too short.
        """
        return _stored(self, state)


@cache
def _stored(key: KeptKey, state: Path) -> bytes:
    file = state / key.file_name
    try:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_once(file, secrets.token_hex(32), mode=0o600)
        content = file.read_bytes()
    except OSError as error:
        raise SettingError(
            f"{file}: the key of the {key.name} can be neither read nor made ({error.strerror}); "
            f"set {key.variable}, or HEMODETECT_STATE to a folder that can be written."
        ) from error
    if len(content) < FEWEST_BYTES:
        raise SettingError(
            f"{file} holds {len(content)} bytes, expected at least {FEWEST_BYTES}; delete it to have a"
            f" new key made ({key.when_lost})."
        )
    return content
