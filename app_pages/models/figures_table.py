"""The figures of one model, of one or several of its versions side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app_pages.common.metrics_table import with_interval
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
