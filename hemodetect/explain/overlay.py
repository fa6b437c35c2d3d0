"""A heat map laid over a slice, so that the anatomy stays visible beneath it."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image
from plotly.colors import sample_colorscale

COLORMAPS = {"inferno": "Inferno", "viridis": "Viridis", "cividis": "Cividis"}
"""Name -> Plotly's name. Lightness rises along each, so order survives without colour vision."""


@cache
def colour_table(name: str) -> np.ndarray:
    """(256, 3) uint8 RGB of a colormap, no evidence to most evidence. Read-only.

    Raises:
        ValueError: no colormap has this name.
    """
    if name not in COLORMAPS:
        raise ValueError(f"colormap {name!r} is unknown; expected {', '.join(COLORMAPS)}")
    samples = sample_colorscale(COLORMAPS[name], np.linspace(0, 1, 256), colortype="tuple")
    table = np.rint(255 * np.asarray(samples)).astype(np.uint8)
    table.setflags(write=False)
    return table


def heatmap_overlay(
    grey: np.ndarray, heat: np.ndarray, opacity: float = 0.6, colormap: str = "inferno"
) -> np.ndarray:
    """The slice with the heat map over it.

    A pixel's colour covers the anatomy by `opacity` times its heat, so where there is no heat
    the slice is left as it is.

    Args:
        grey: (rows, columns) uint8.
        heat: (rows, columns) float in [0, 1], in register with `grey`.
        opacity: 0 (slice alone) to 1.
        colormap: a key of `COLORMAPS`.

    Returns:
        (rows, columns, 3) uint8 RGB.

    Raises:
        ValueError: the shapes differ, or a value is out of range or not a number.
    """
    if grey.shape != heat.shape or grey.ndim != 2:
        raise ValueError(f"heat map is {heat.shape}, slice {grey.shape}; expected one shape (r, c)")
    if not 0.0 <= opacity <= 1.0:
        raise ValueError(f"opacity is {opacity}; expected a number from 0 to 1")
    if heat.size and not (heat.min() >= 0.0 and heat.max() <= 1.0):
        raise ValueError(f"heat lies in [{heat.min()}, {heat.max()}]; expected [0, 1]")
    level = np.rint(255 * heat).astype(np.uint8)
    colour = colour_table(colormap)[level].astype(np.float32)
    cover = (np.float32(opacity) * heat.astype(np.float32))[:, :, np.newaxis]
    base = grey.astype(np.float32)[:, :, np.newaxis]
    return np.rint(base + cover * (colour - base)).astype(np.uint8)


def in_register(heat: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A map (rows, columns) float32 enlarged, bilinear, to the full-resolution slice's shape.

    The networks see the whole slice squeezed to a square, so the map covers the whole slice too.
    """
    image = Image.fromarray(heat.astype(np.float32))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def attention_maps(weights: np.ndarray) -> np.ndarray:
    """Attention weights of image rows, (n, steps), as maps (n, steps, 1) in [0, 1]."""
    return np.stack([row / full_attention(row) for row in weights])[:, :, None]


def full_attention(weights: np.ndarray) -> float:
    """The weight that has the full colour: the greatest, but no less than three even shares.

    Attention spread evenly over the rows has no meaning, and must not light up the whole slice.
    """
    return max(float(weights.max()), 3 / len(weights))
