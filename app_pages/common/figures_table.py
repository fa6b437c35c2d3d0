"""The figures of one model, of one or several of its versions side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from hemodetect.registry.bundle import Card

LEVELS = {"slice": "By slice", "patient": "By patient"}


def figures_table(cards: Mapping[str, Card]) -> None:
    """Shows all out-of-fold figures of `cards`, by title; a row per figure, so that two cards fit."""
    columns = {
        (title, name): _figures(card.metrics[level])
        for title, card in cards.items()
        for level, name in LEVELS.items()
    }
    table = pd.DataFrame(columns)
    table.insert(0, ("", "Figure"), table.index)
    st.dataframe(table, hide_index=True, width="stretch", height="content")
    st.caption("Out-of-fold predictions; 95 % intervals from resampling patients in brackets.")


def _figures(scores: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Number of slices or patients": f"{scores['n']:,}",
        "Accuracy": with_interval(scores["accuracy"]),
        "Majority-class baseline": f"{scores['majority_baseline']:.1%}",
        "Balanced accuracy": with_interval(scores["balanced_accuracy"]),
        "Sensitivity": with_interval(scores["sensitivity"]),
        "Specificity": with_interval(scores["specificity"]),
        "AUROC": with_interval(scores["auroc"], percent=False),
    }


def with_interval(metric: Mapping[str, float | None], percent: bool = True) -> str:
    """A figure of a card and its 95 % interval, e.g. "86.2% (81-91)"; "-" where there is no figure."""
    value, low, high = (metric[name] for name in ("value", "low", "high"))
    if value is None or value != value:
        return "-"
    if low is None or high is None or low != low:
        return f"{value:.1%}" if percent else f"{value:.2f}"
    if percent:
        return f"{value:.1%} ({100 * low:.0f}-{100 * high:.0f})"
    return f"{value:.2f} ({low:.2f}-{high:.2f})"
