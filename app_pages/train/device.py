"""On what a training runs: the processor, a card of this machine, or one of the cluster."""

from __future__ import annotations

import streamlit as st

from hemodetect.settings import settings
from hemodetect.training.jobs.gpus import Gpu, gpus

CPU = "cpu"


def choose_device() -> str:
    """Draws the list of devices; with a card, the first card is the default."""
    names = _names()
    return st.selectbox(
        "Device",
        [*names, CPU],
        format_func=lambda device: "Processor" if device == CPU else names.get(device, device),
        key="train_device",
        help=why_this_device(),
    )


def why_this_device() -> str:
    """One sentence on what there is to choose from."""
    if settings().ray_address:
        return "Trainings go to the Ray cluster (HEMODETECT_RAY_ADDRESS); it gives a job one card."
    cards = _cards()
    if not cards:
        return (
            "No NVIDIA card was found on this machine, so trainings run on the processor."
            " `hemodetect doctor` says what was looked for."
        )
    found = "1 NVIDIA card was" if len(cards) == 1 else f"{len(cards)} NVIDIA cards were"
    return f"{found} found on this machine."


def _names() -> dict[str, str]:
    if settings().ray_address:
        return {"gpu": "A GPU of the cluster"}
    cards = _cards()
    names = {card.device: f"{card.name}, {card.memory_mib / 1024:.0f} GiB" for card in cards}
    if len(cards) > 1:
        names["gpus"] = f"All {len(cards)} cards at once"
    return names


@st.cache_data(show_spinner=False, ttl=30, max_entries=1)
def _cards() -> list[Gpu]:
    return gpus()
