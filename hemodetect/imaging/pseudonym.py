"""Pseudonyms of patients, studies and series: a keyed hash (HMAC-SHA256).

Without the key nobody can check a guessed patient number against a pseudonym.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

from hemodetect.settings import Settings, settings
from hemodetect.storage.secret_keys import KeptKey

KEY_FILE = "pseudonym.key"
"""Name of the key's file in the state folder."""
_KEPT = KeptKey(
    "pseudonyms", KEY_FILE, "HEMODETECT_PSEUDONYM_KEY", "studies will then get new pseudonyms"
)
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
    return _KEPT.read(limits.state)
