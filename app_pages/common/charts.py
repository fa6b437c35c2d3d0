"""Settings of the charts."""

from __future__ import annotations

from typing import Any

import streamlit as st

from hemodetect.figures.theme import CHART_CONFIG


def chart_config(name: str) -> dict[str, Any]:
    """Settings of a chart that can be saved as a picture.

    The file is called after `name`; its format is the one chosen on the page Compare.
    """
    picture_format = st.session_state.get("compare_picture", "png")
    return CHART_CONFIG | {
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": {
            "format": picture_format,
            "filename": f"hemodetect-{name}",
            "scale": 2,
        },
    }
