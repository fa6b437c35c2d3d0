"""A heat map over a slice."""

import numpy as np
import pytest

from hemodetect.explain.overlay import (
    COLORMAPS,
    attention_maps,
    colour_table,
    heatmap_overlay,
    in_register,
)

GREY = np.tile(np.arange(0, 250, 10, dtype=np.uint8), (4, 1))


def test_a_slice_without_heat_is_left_as_it_is():
    overlay = heatmap_overlay(GREY, np.zeros(GREY.shape), opacity=1.0)
    assert overlay.dtype == np.uint8
    assert np.array_equal(overlay, np.repeat(GREY[:, :, None], 3, axis=2))


def test_no_opacity_leaves_the_slice_as_it_is():
    overlay = heatmap_overlay(GREY, np.ones(GREY.shape), opacity=0.0)
    assert np.array_equal(overlay, np.repeat(GREY[:, :, None], 3, axis=2))


def test_full_heat_at_full_opacity_is_the_last_colour_whatever_lies_beneath():
    overlay = heatmap_overlay(GREY, np.ones(GREY.shape), opacity=1.0)
    assert (overlay == colour_table("inferno")[-1]).all()


def test_heat_covers_in_proportion_to_itself_and_to_the_opacity():
    half = heatmap_overlay(np.full((1, 1), 100, np.uint8), np.full((1, 1), 0.6), opacity=0.5)
    colour = colour_table("inferno")[153].astype(float)
    assert np.allclose(half[0, 0], 100 + 0.3 * (colour - 100), atol=0.6)


def test_anatomy_stays_visible_under_full_heat_at_the_usual_opacity():
    overlay = heatmap_overlay(GREY, np.ones(GREY.shape)).astype(int)
    assert (np.diff(overlay[0, :, 0]) > 0).all()


def test_one_hot_pixel_colours_that_pixel_alone():
    heat = np.zeros(GREY.shape, np.float32)
    heat[1, 7] = 1.0
    overlay = heatmap_overlay(GREY, heat)
    changed = (overlay != GREY[:, :, None]).any(axis=2)
    assert list(zip(*np.nonzero(changed), strict=True)) == [(1, 7)]


@pytest.mark.parametrize("name", list(COLORMAPS))
def test_lightness_rises_along_every_colormap(name):
    linear = (colour_table(name) / 255.0) ** 2.2
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance[::8]) > 0).all()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"heat": np.zeros((4, 4))}, r"heat map is \(4, 4\), slice \(4, 25\)"),
        ({"heat": np.full(GREY.shape, 1.5)}, "heat lies in"),
        ({"heat": np.full(GREY.shape, np.nan)}, "heat lies in"),
        ({"heat": np.zeros(GREY.shape), "opacity": 2}, "opacity is 2"),
        ({"heat": np.zeros(GREY.shape), "colormap": "jet"}, "colormap 'jet' is unknown"),
    ],
)
def test_a_map_that_does_not_fit_the_slice_is_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        heatmap_overlay(GREY, **arguments)


def test_a_map_is_in_register_with_a_slice_that_is_not_square() -> None:
    heat = np.zeros((4, 4), np.float32)
    heat[0, 3] = 1
    large = in_register(heat, (200, 400))
    assert large.shape == (200, 400)
    row, column = np.unravel_index(large.argmax(), large.shape)
    assert row < 50
    assert column > 300


def test_attention_lies_at_its_rows() -> None:
    weights = np.full(244, 0.5 / 243, np.float32)
    weights[61] = 0.5
    heat_map = in_register(attention_maps(weights[None])[0], (512, 512))
    assert abs(int(heat_map[:, 0].argmax()) - 61.5 * 512 / 244) < 3
    assert heat_map.max() <= 1
    np.testing.assert_array_equal(heat_map[:, 0], heat_map[:, 511])
