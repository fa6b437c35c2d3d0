"""Slices of drawn heads at 244 x 244: skin, a closed ring of bone, brain, and a head-rest."""

from __future__ import annotations

import numpy as np


def drawn_series(
    slices: int,
    seed: int,
    *,
    turn_degrees: float = 0.0,
    shift: tuple[int, int] = (0, 0),
    scale: float = 1.0,
    brain: float = 110.0,
    bleed: bool = False,
    rest: bool = False,
) -> np.ndarray:
    """(slices, 244, 244) uint8; `bleed` puts a bright blob into the middle third of the slices."""
    random = np.random.default_rng(seed)
    down, right = np.mgrid[-122:122, -122:122].astype(float)
    angle = np.deg2rad(turn_degrees)
    y = (down - shift[0]) * np.cos(angle) + (right - shift[1]) * np.sin(angle)
    x = (right - shift[1]) * np.cos(angle) - (down - shift[0]) * np.sin(angle)
    pictures = []
    for number in range(slices):
        size = scale * (60 + 25 * np.sin(np.pi * (number + 2) / (slices + 3)))
        depth = np.hypot(y, 1.25 * x) / size
        picture = np.where(depth < 1, 100.0, 0.0)
        picture[depth < 0.97] = 255
        picture[depth < 0.88] = brain
        picture[np.hypot(y / 1.4, x) < 0.15 * size] = brain - 50
        if bleed and slices / 3 <= number < 2 * slices / 3:
            picture[np.hypot(y + 0.3 * size, x - 0.35 * size) < 0.18 * size] = brain + 70
        if rest:
            picture[(np.abs(np.hypot(down, right) - 115) < 3) & (down > 0)] = 180
        picture = picture + random.normal(0, 4, picture.shape) * (picture > 0)
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
    return np.stack(pictures)


def head_of_its_own(person: int, slices: int, *, bleed: bool) -> np.ndarray:
    """(slices, 244, 244) uint8 of a head that differs from every other, as patients do."""
    random = np.random.default_rng(person)
    pictures = drawn_series(
        slices,
        person,
        bleed=bleed,
        turn_degrees=random.uniform(-25, 25),
        scale=random.uniform(0.6, 1.15),
        shift=tuple(random.integers(-25, 26, 2)),
    )
    # Something of their own in each head: drawn ovals are more alike than persons.
    for _ in range(12):
        row, column = random.integers(40, 200, 2)
        part = pictures[:, row : row + 14, column : column + 14]
        part[part < 200] //= 2
    return pictures
