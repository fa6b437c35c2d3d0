"""Controls that change the slice and its window."""

from __future__ import annotations

import streamlit as st

from hemodetect.imaging.study import Slice
from hemodetect.imaging.windows import BRAIN, WINDOWS_HU, Window

# Arrow keys change the slice after any mouse click. Without this, a radio button that was clicked, or
# the name field, keeps the focus and takes the keys. A radio button reached with the keyboard keeps
# them. A control that was clicked before this script ran loses the focus when it runs.
_ARROWS_TURN_SLICES = """<script>
(() => {
  const choice = () => document.activeElement?.getAttribute("role") === "radio";
  const named = document.activeElement?.getAttribute("aria-label") === "Your name";
  if (choice() || named) document.activeElement.blur();
  if (window.hemodetectArrows) return;
  window.hemodetectArrows = true;
  document.addEventListener("pointerup", () => setTimeout(() => {
    const slices = document.querySelector("[class*=_next] button, [class*=_back] button");
    if (slices && choice()) document.activeElement.blur();
  }), true);
})();
</script>"""


def go_to(number: int, prefix: str) -> None:
    """Shows slice `number` (from 1) in the viewer of this prefix."""
    st.session_state[f"{prefix}_slice"] = int(number)


def _step(by: int, n: int, prefix: str) -> None:
    go_to(min(max(st.session_state[f"{prefix}_slice"] + by, 1), n), prefix)


def slice_control(n: int, prefix: str) -> int:
    """Draws the slice slider and its buttons (also arrow keys); the index of the slice, from 0."""
    if n == 1:
        return 0
    back, middle, forward = st.columns([3, 12, 3], vertical_alignment="bottom")
    back.button(
        "Back",
        on_click=_step,
        args=(-1, n, prefix),
        shortcut="Left",
        width="stretch",
        key=f"{prefix}_back",
    )
    forward.button(
        "Next",
        on_click=_step,
        args=(1, n, prefix),
        shortcut="Right",
        width="stretch",
        key=f"{prefix}_next",
    )
    return middle.slider("Slice", 1, n, key=f"{prefix}_slice") - 1


def arrows_turn_slices() -> None:
    """Reserves the arrow keys for the slices; called last in a viewer, as it takes a little space."""
    st.html(_ARROWS_TURN_SLICES, unsafe_allow_javascript=True)


def first_window(image: Slice) -> Window:
    """The window a slice is first shown in."""
    return BRAIN if image.units == "HU" else Window(255, 127.5)


def window_control(image: Slice, prefix: str) -> Window:
    """The window that slices are shown in; the models always see the brain window."""
    if image.units == "grey":
        low, high = st.slider(
            "Contrast (grey levels from black to white)",
            0,
            255,
            (0, 255),
            key=f"{prefix}_contrast",
        )
        return Window(max(high - low, 1), (high + low) / 2)
    names = [*WINDOWS_HU, "free"]
    name = st.segmented_control(
        "Window",
        names,
        format_func=lambda n: n if n == "free" else f"{n} {_width_level(WINDOWS_HU[n])}",
        default="brain",
        required=True,
        key=f"{prefix}_window",
        help="For the display only; the models always see the brain window.",
    )
    if name != "free":
        return WINDOWS_HU[name or "brain"]
    width, level = st.columns(2)
    return Window(
        width.number_input("Width (HU)", 1, 4000, 80, 10, key=f"{prefix}_width"),
        level.number_input("Level (HU)", -1000, 3000, 40, 5, key=f"{prefix}_level"),
    )


def _width_level(window: Window) -> str:
    return f"{window.width:.0f}/{window.level:.0f}"
