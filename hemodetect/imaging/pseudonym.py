"""Pseudonyms of patients, studies and series: a keyed hash (HMAC-SHA256).

Without the key nobody can check a guessed patient number against a pseudonym.
"""

from __future__ import annotations

import hmac
import secrets
from functools import cache
from hashlib import sha256
from pathlib import Path

from hemodetect.errors import SettingError
from hemodetect.settings import Settings, settings
from hemodetect.storage.whole_file import write_once

KEY_FILE = "pseudonym.key"
"""Name of the key's file in the state folder."""
_DIGITS = 10  # 40 bits: among 10,000 studies two share one with a chance of 1 in 20,000


def pseudonym(kind: str, *content: str, limits: Settings | None = None) -> str:
    """`kind` and ten hexadecimal digits, such as ``study-7f3a9c21d0``.

    Args:
        kind: what is named; the same content gives unlike digits for another kind.
        content: what identifies it; order matters, and ("ab", "c") differs from ("a", "bc").
        limits: settings to take the key from; those of the process by default.

    Raises:
        SettingError: there is no key and none can be made.
    """
    message = b"".join(
        len(part).to_bytes(8, "big") + part
        for part in (text.encode("utf-8", "surrogatepass") for text in (kind, *content))
    )
    digest = hmac.new(_key(limits or settings()), message, sha256).hexdigest()
    return f"{kind}-{digest[:_DIGITS]}"


def _key(limits: Settings) -> bytes:
    if limits.pseudonym_key:
        return limits.pseudonym_key.encode()
    return _stored_key(limits.state)


@cache
def _stored_key(state: Path) -> bytes:
    """The key in `state`, made on first use. The first of several processes to make it wins."""
    file = state / KEY_FILE
    try:
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_once(file, secrets.token_hex(32), mode=0o600)
        key = file.read_bytes()
    except OSError as error:
        raise SettingError(
            f"{file}: the key of the pseudonyms can be neither read nor made ({error.strerror}); "
            "set HEMODETECT_PSEUDONYM_KEY, or HEMODETECT_STATE to a folder that can be written."
        ) from error
    if len(key) < 32:
        raise SettingError(
            f"{file} holds {len(key)} bytes, expected at least 32; delete it to have a new key "
            "made (studies will then get new pseudonyms)."
        )
    return key
