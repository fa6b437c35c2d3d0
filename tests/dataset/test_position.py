"""Vertex, mid and base are recognised from pixels, in either direction of a series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.position import slice_heights, slice_positions
from hemodetect.imaging.naming import series_and_number
from hemodetect.imaging.pictures import decode_grey
from hemodetect.imaging.windows import BRAIN, windowed
from hemodetect.phantom.head import head_phantom
from hemodetect.preprocessing.head_position import (
    BASE,
    FEWEST_SLICES,
    MID,
    POSITIONS,
    UNKNOWN,
    VERTEX,
    SeriesPositions,
    series_positions,
)
from hemodetect.preprocessing.model_input import resized

BELOW, VAULT = 9, 16
"""Slices of a drawn head below the vault, and of the vault with its top."""


def drawn_head(below: int = BELOW, vault: int = VAULT, scale: float = 1.0) -> np.ndarray:
    """(below + vault, 128, 128) uint8, base to vertex: bone and air in the base, a half ball on it.

    Slice k of the vault lies k / vault of the way up the half ball.
    """
    down, right = np.mgrid[-64:64, -64:64] / (50.0 * scale)
    depth = np.hypot(down, right * 1.25)
    checks = ((down * 6).astype(int) + (right * 6).astype(int)) % 3
    base = np.where(depth < 0.85, np.choose(checks, [120, 255, 0]), 0)
    base[(depth < 0.85) & (depth > 0.75)] = 120
    slices = [base] * below
    for number in range(vault):
        radius = (1 - (number / vault) ** 2) ** 0.5
        slices.append(np.where(depth < radius - 0.1, 110, np.where(depth < radius, 255, 0)))
    return np.stack(slices).astype(np.uint8)


def mirrored(positions: SeriesPositions) -> tuple[bool, list[str], list[float]]:
    return (
        not positions.base_first,
        positions.names[::-1].tolist(),
        positions.heights[::-1].tolist(),
    )


def facts(positions: SeriesPositions) -> tuple[bool | None, list[str], list[float]]:
    return positions.base_first, positions.names.tolist(), positions.heights.tolist()


def test_the_base_ends_at_the_vault_and_the_vertex_is_the_upper_half_of_a_round_one() -> None:
    positions = series_positions(drawn_head())
    half = VAULT // 2 + 1  # at half its height a ball has exactly three quarters of its section
    assert positions.base_first is True
    assert positions.names.tolist() == [BASE] * BELOW + [MID] * half + [VERTEX] * (VAULT - half)
    np.testing.assert_allclose(positions.heights[:BELOW], 0)
    np.testing.assert_allclose(positions.heights[BELOW:], np.linspace(0, 1, VAULT))


def test_a_series_turned_round_has_the_mirrored_positions() -> None:
    head = drawn_head()
    assert facts(series_positions(head[::-1])) == mirrored(series_positions(head))


def test_a_long_series_is_sampled_and_its_limits_hold_to_three_slices() -> None:
    names = series_positions(drawn_head(below=90, vault=160)).names.tolist()
    assert names == sorted(names)  # base, mid, vertex happen to be in the order of the alphabet
    assert names.index(MID) == pytest.approx(90, abs=3)
    assert names.index(VERTEX) == pytest.approx(90 + 80, abs=3)


def test_a_series_that_stops_below_the_top_keeps_the_limit_of_its_vertex() -> None:
    complete, shortened = series_positions(drawn_head()), series_positions(drawn_head()[:-5])
    assert shortened.names.tolist() == complete.names[:-5].tolist()


def test_outlines_of_pictures_cropped_to_differing_sizes_are_compared_at_one_size() -> None:
    large, small = drawn_head(), drawn_head(scale=0.7)
    wider = (np.arange(len(large)) % 2 == 1) & (np.arange(len(large)) >= BELOW)
    mixed = np.where(wider[:, None, None], small, large)
    pixels = np.where(wider, (128 / 0.7) ** 2, 128.0**2)
    expected = series_positions(large).names.tolist()
    assert series_positions(mixed, pixels).names.tolist() == expected
    assert series_positions(mixed).names.tolist() != expected


@pytest.mark.parametrize(
    "pictures",
    [
        pytest.param(drawn_head()[::4], id="few slices"),
        pytest.param(drawn_head(below=0), id="no base"),
        pytest.param(drawn_head(vault=0), id="no vault"),
        pytest.param(
            np.concatenate([drawn_head(vault=10)[:-4], drawn_head(vault=10)[:-4][::-1]]),
            id="a base at both ends",
        ),
        pytest.param(np.zeros((20, 128, 128), np.uint8), id="air"),
        pytest.param(np.full((20, 128, 128), 255, np.uint8), id="white"),
        pytest.param(np.zeros((0, 128, 128), np.uint8), id="nothing"),
    ],
)
def test_where_the_direction_is_unknown_every_slice_is_unknown(pictures: np.ndarray) -> None:
    positions = series_positions(pictures)
    assert positions.base_first is None
    assert positions.names.tolist() == [UNKNOWN] * len(pictures)
    assert np.isnan(positions.heights).all()
    assert len(positions.heights) == len(pictures)


@pytest.mark.parametrize("tilt_degrees", [0.0, 15.0])
def test_the_levels_of_a_phantom_are_named_as_its_anatomy_says(tilt_degrees: float) -> None:
    head = head_phantom(
        slices=32, size=256, pixel_spacing_mm=0.9, tilt_degrees=tilt_degrees, seed=3
    )
    pictures = np.stack([resized(windowed(hu, BRAIN), 128) for hu in head.hu])
    positions = series_positions(pictures)
    # The slices run from 63 mm below the phantom's orbitomeatal plane to 92 mm above it.
    millimetres = -63 + 5 * np.arange(32)
    assert positions.base_first is True
    assert set(positions.names[millimetres < -10]) == {BASE}
    assert set(positions.names[(millimetres > 15) & (millimetres < 50)]) == {MID}
    assert set(positions.names[millimetres > 75]) == {VERTEX}
    assert facts(series_positions(pictures[::-1])) == mirrored(positions)


def test_positions_are_aligned_with_the_table_and_found_a_series(tmp_path: Path) -> None:
    up, down, single = drawn_head(), drawn_head()[::-1], drawn_head()[:1]
    order = np.argsort(np.arange(2 * len(up)) % len(up), kind="stable")  # interleaves two series
    np.save(tmp_path / "grey128.npy", np.concatenate([np.concatenate([up, down])[order], single]))
    table = pd.DataFrame(
        {
            "patient": "p0",
            "series": [*np.repeat(["up", "down"], len(up))[order], "scout"],
            "rows": 128,
            "columns": 128,
        },
        index=100 + np.arange(2 * len(up) + 1),
    )
    dataset = Dataset(tmp_path, "f" * 16, table, (), tmp_path)
    names, heights = slice_positions(dataset), slice_heights(dataset)
    assert names.index.equals(table.index)
    assert set(names) <= set(POSITIONS)
    positions = series_positions(up)
    for series, onward in (("up", slice(None)), ("down", slice(None, None, -1))):
        assert names[table["series"] == series].tolist() == positions.names[onward].tolist()
        np.testing.assert_allclose(heights[table["series"] == series], positions.heights[onward])
    assert names.iloc[-1] == UNKNOWN
    assert np.isnan(heights.iloc[-1])


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("folder", "base_first"),
    [
        ("near-east/Hemorrhagic/KANAMA/2[2]", True),
        ("near-east/Hemorrhagic/KANAMA/3[3]", False),  # an infant, turned
        ("near-east/Hemorrhagic/KANAMA/19[19]", False),  # hand-cropped, 21 sizes
        ("near-east/Hemorrhagic/KANAMA/21[21] _2", True),
        ("near-east/NORMAL/N1[N1]", False),
        ("near-east/NORMAL/N8[N8]", True),  # down to the shoulders
        ("near-east/NORMAL/N10[N10]", False),
        ("near-east/NORMAL/N19[N19]", False),
        ("ct-ich/Patients_CT/054/brain", True),  # the least certain of its set
        ("ct-ich/Patients_CT/086/brain", True),
    ],
)
def test_real_series_run_the_way_that_was_seen_by_eye(
    near_east: Path, folder: str, base_first: bool
) -> None:
    series_folder = near_east.parent / folder
    if not series_folder.is_dir():
        pytest.skip(f"{folder} is not beside the repository (shared/data)")
    files = sorted(
        (f for f in series_folder.iterdir() if f.suffix.lower() == ".jpg"),
        key=lambda file: series_and_number(file.name)[1],
    )
    files = files[:: max(1, len(files) // 24)]
    greys = [decode_grey(file.read_bytes(), 10**8) for file in files]
    positions = series_positions(
        np.stack([resized(grey, 128) for grey in greys]), np.array([grey.size for grey in greys])
    )
    assert positions.base_first is base_first
    upward = positions.names if base_first else positions.names[::-1]
    assert len(files) >= FEWEST_SLICES
    assert upward.tolist() == sorted(upward)
    assert set(upward) == {BASE, MID, VERTEX}
