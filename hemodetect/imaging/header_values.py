"""Values of a DICOM attribute that may be missing, of another type, or malformed."""

from __future__ import annotations

import math
from typing import Any


def _value(data_set: Any, keyword: str) -> Any:
    try:
        return data_set.get(keyword)
    except Exception:  # noqa: BLE001  pydicom converts when asked, and raises what that raises
        return None


def text(data_set: Any, keyword: str) -> str:
    """Without blanks around it; "" where there is none."""
    value = _value(data_set, keyword)
    return "" if value is None else str(value).strip()


def texts(data_set: Any, keyword: str) -> list[str]:
    """Every value, in capitals."""
    value = _value(data_set, keyword)
    values = [] if value is None else [value] if isinstance(value, str) else list(value)
    return [str(v).strip().upper() for v in values]


def integer(data_set: Any, keyword: str) -> int | None:
    """The one number of an attribute; None where it has none, or several."""
    numbers = floats(data_set, keyword, 1)
    return int(numbers[0]) if numbers else None


def floats(data_set: Any, keyword: str, count: int | None) -> tuple[float, ...] | None:
    """The finite numbers of an attribute; None unless there are `count` (or any, for None)."""
    value = _value(data_set, keyword)
    if isinstance(value, bytes):  # an "US or SS" that nothing decided
        value = int.from_bytes(value[:2], "little")
    many = hasattr(value, "__iter__") and not isinstance(value, str)
    try:
        values = tuple(float(v) for v in value) if many else (float(value),)
    except (TypeError, ValueError, OverflowError):
        return None
    if not values or (count is not None and len(values) != count):
        return None
    return values if all(map(math.isfinite, values)) else None
