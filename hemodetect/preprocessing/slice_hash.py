"""A short hash of what a slice shows, alike for the same picture in another file, name or compression.

64 signs of the lowest frequencies of a discrete cosine transform (C. Zauner, "Implementation and
benchmarking of perceptual image hash functions", 2010, section 3.2.1). Measured on near-east: saved
again as JPEG of quality 60, half of the slices keep every bit and the others differ in at most two.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import dctn

HASH_SIDE = 128
"""Side of the slices that are hashed, in pixels."""
_SMALL = 32
_FREQUENCIES = 8
_AT_ONCE = 512


def slice_hashes(grey: np.ndarray) -> np.ndarray:
    """(n,) uint64 of (n, 128, 128) uint8 slices in the brain window."""
    parts = [_hashes(grey[start : start + _AT_ONCE]) for start in range(0, len(grey), _AT_ONCE)]
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def _hashes(grey: np.ndarray) -> np.ndarray:
    block = HASH_SIDE // _SMALL
    small = grey.reshape(len(grey), _SMALL, block, _SMALL, block).mean(axis=(2, 4))
    waves = dctn(small, axes=(1, 2), norm="ortho")[:, :_FREQUENCIES, : _FREQUENCIES + 1]
    lowest = waves.reshape(len(grey), -1)[:, 1:65]  # without the mean
    signs = lowest > np.median(lowest, axis=1, keepdims=True)
    return np.packbits(signs, axis=1).view(">u8").ravel().astype(np.uint64)


def differing_bits(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(n, m) uint8: bits in which each of (n,) hashes differs from each of (m,)."""
    return np.bitwise_count(first[:, None] ^ second[None])
