"""The slice in view and its heat maps, in register."""

from __future__ import annotations

import io

import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

from hemodetect.figures.slice_view import HeatMap, png_bytes, slice_view

GREY = np.tile(np.arange(240, dtype=np.uint8), (120, 1))


def view(
    grey: np.ndarray = GREY, heat: HeatMap | None = None, attention: np.ndarray | None = None
) -> go.Figure:
    return slice_view(grey, heat=heat, attention=attention, opacity=0.6)


def bars(attention: np.ndarray, rows: int) -> go.Bar:
    figure = view(np.zeros((rows, rows), np.uint8), attention=attention)
    (found,) = [trace for trace in figure.data if isinstance(trace, go.Bar)]
    return found


def panels(figure: go.Figure) -> list[go.Image]:
    return [trace for trace in figure.data if isinstance(trace, go.Image)]


def test_attention_bars_tile_the_image_rows_from_the_top() -> None:
    found = bars(np.array([0.1, 0.2, 0.3, 0.4]), rows=512)
    np.testing.assert_allclose(found.y, [63.5, 191.5, 319.5, 447.5])
    assert found.width == 128


def test_attention_is_told_in_multiples_of_an_even_share() -> None:
    np.testing.assert_allclose(bars(np.full(128, 1 / 128), rows=512).customdata, 1)
    np.testing.assert_allclose(bars(np.array([0, 1.0, 0, 0]), rows=8).customdata, [0, 4, 0, 0])


def test_even_attention_fills_a_third_of_the_strip_and_none_nothing() -> None:
    even, one = bars(np.full(8, 1 / 8), rows=80), bars(np.eye(8)[2], rows=80)
    np.testing.assert_allclose(even.x, one.x.min() / 3)
    assert not np.any(bars(np.zeros(4), rows=8).x)


@pytest.mark.parametrize("shape", [(4, 4), (128, 128)])
def test_every_panel_covers_the_whole_slice_and_zooms_with_the_others(
    shape: tuple[int, int],
) -> None:
    heat = HeatMap(np.ones(shape, np.float32), "Grad-CAM", "strongest in this study")
    figure = view(heat=heat, attention=np.full(244, 1 / 244))
    assert len(panels(figure)) == 3
    axes = [figure.layout[name] for name in ("xaxis", "xaxis2", "xaxis3")]
    assert {tuple(axis.range) for axis in axes} == {(-0.5, 239.5)}
    assert {axis.matches for axis in axes} <= {None, "x", "x2", "x3"}
    assert sum(axis.matches is None for axis in axes) == 1


def test_a_map_says_its_method_and_the_class_that_it_explains() -> None:
    heat = HeatMap(np.ones((4, 4), np.float32), "Score-CAM", "strongest in this slice")
    figure = view(heat=heat)
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert "CNN: Score-CAM, evidence for hemorrhage" in titles
    (bar,) = [t.marker.colorbar for t in figure.data if isinstance(t, go.Scatter)]
    assert list(bar.ticktext) == ["none", "strongest in this slice"]


def test_without_maps_the_slice_stands_alone() -> None:
    assert [panel.name for panel in panels(view())] == ["Slice"]


def test_a_thumbnail_keeps_the_shape_of_the_slice() -> None:
    assert Image.open(io.BytesIO(png_bytes(GREY, 60))).size == (60, 30)
