"""The GPUs of this machine, listed by nvidia-smi, which does not occupy a card."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

_AMPERE = 8.0
_FIELDS = ("index", "name", "memory.total", "memory.used", "utilization.gpu")


@dataclass(frozen=True)
class Gpu:
    """One card.

    Attributes:
        device: as in a plan, e.g. ``gpu:0``.
        name: of the card.
        memory_mib, used_mib: in total, and used by all processes.
        busy: utilisation, 0 to 1; None where the driver does not report it.
    """

    device: str
    name: str
    memory_mib: int
    used_mib: int
    busy: float | None


def gpus() -> list[Gpu]:
    """The cards, none where there are none or the driver does not answer within five seconds."""
    cards = []
    for line in _asked(_FIELDS):
        values = [part.strip() for part in line.split(",")]
        try:
            index, name, memory, used, busy = values
            share = float(busy) / 100 if busy.replace(".", "").isdigit() else None
            cards.append(Gpu(f"gpu:{int(index)}", name, int(memory), int(used), share))
        except ValueError:
            continue  # a card that the driver has lost has the values "[Unknown Error]"
    return cards


def cards_have_bfloat16() -> bool:
    """Whether every card multiplies bfloat16 itself: compute capability 8.0 (Ampere) or newer.

    Source: NVIDIA, CUDA C++ Programming Guide, section "Arithmetic instructions".
    """
    lines = _asked(("compute_cap",))
    try:
        return bool(lines) and all(float(line) >= _AMPERE for line in lines)
    except ValueError:
        return False


def _asked(fields: tuple[str, ...]) -> list[str]:
    """A line a card; none without an answer within five seconds."""
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return listing.stdout.splitlines()
