"""Bytes encrypted on disk: received files, and results that wait to be sent.

They name a patient, and nothing else of this program does. AES-256 in Galois/Counter Mode (NIST
SP 800-38D): what was changed, or moved to another place, cannot be opened.
"""

from __future__ import annotations

import hmac
import os
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hemodetect.errors import HemodetectError
from hemodetect.settings import settings
from hemodetect.storage.secret_keys import KeptKey
from hemodetect.storage.whole_file import whole_file

_KEPT = KeptKey(
    "encrypted studies",
    "seal.key",
    "HEMODETECT_SEAL_KEY",
    "studies in the worklist can then not be opened; have them sent again",
)
_NONCE = 12  # bytes
_OWNER_ONLY = 0o600


class SealBroken(HemodetectError):
    """An encrypted file was changed, is damaged, or belongs to another key."""


def seal(content: bytes, place: str) -> bytes:
    """Encrypted; `place` must be given again to open it.

    Raises:
        SettingError: there is no key and none can be made.
    """
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(_key("encryption")).encrypt(nonce, content, place.encode())


def unseal(sealed: bytes, place: str) -> bytes:
    """What was sealed for `place`; raises `SealBroken` where it cannot be opened."""
    try:
        return AESGCM(_key("encryption")).decrypt(sealed[:_NONCE], sealed[_NONCE:], place.encode())
    except (InvalidTag, ValueError) as error:
        raise SealBroken(
            "An encrypted file of the worklist is damaged, or was encrypted with another key"
            " (HEMODETECT_SEAL_KEY). Have the study sent again."
        ) from error


def write_sealed(path: Path, content: bytes) -> None:
    """Writes a file whole, for the owner alone; raises `OSError` where the disk is full."""
    with whole_file(path, mode=_OWNER_ONLY) as partial:
        partial.write_bytes(seal(content, _place(path)))


def read_sealed(path: Path) -> bytes:
    """What `write_sealed` wrote.

    Raises:
        SealBroken: it cannot be opened.
        OSError: it cannot be read.
    """
    return unseal(path.read_bytes(), _place(path))


def sealed_name(identifier: str) -> str:
    """32 hexadecimal digits for an identifier; without the key nobody can test a guess."""
    return hmac.new(_key("names"), identifier.encode(), sha256).hexdigest()[:32]


def _place(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _key(purpose: str) -> bytes:
    current = settings()
    key = current.seal_key.encode() or _KEPT.read(current.state)
    return hmac.new(key, purpose.encode(), sha256).digest()
