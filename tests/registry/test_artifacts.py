"""The models that come with the program: whole, and small enough for the repository."""

from __future__ import annotations

from pathlib import Path

from hemodetect.models.families import FAMILY_NAMES
from hemodetect.registry.bundle import read_card
from hemodetect.registry.promotion import PUBLISHED, RELEASES

ARTIFACTS = Path(__file__).parents[2] / "artifacts"


def test_they_stay_below_28_megabytes() -> None:
    assert sum(file.stat().st_size for file in ARTIFACTS.rglob("*") if file.is_file()) < 28e6


def test_every_family_has_a_release_and_a_published_model() -> None:
    for family in FAMILY_NAMES:
        assert read_card(ARTIFACTS / RELEASES / family).split == "patient"
        published = read_card(ARTIFACTS / PUBLISHED / family)
        assert (published.recipe, published.split) == ("paper", "paper")
        assert published.epochs in (None, 50)
        assert published.has_model
