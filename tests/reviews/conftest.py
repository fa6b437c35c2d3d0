"""Sessions that the tests of reviews share."""

from __future__ import annotations

import pytest
from made_sessions import Make

from hemodetect.reviews.session import Mode, ReviewSession
from hemodetect.reviews.sessions import create
from hemodetect.reviews.sources import Source, SyntheticPhantom, Truth
from hemodetect.storage.people import Person, local_person


@pytest.fixture
def lead() -> Person:
    return local_person("Lena")


@pytest.fixture
def make(lead: Person) -> Make:
    """Creates a session of synthetic phantoms, the first half with a bleed."""

    def created(
        readers: tuple[str, ...] = ("Ada", "Bo"), mode: Mode = "blind-first", n: int = 4
    ) -> ReviewSession:
        studies: list[tuple[Source, Truth | None]] = [
            (SyntheticPhantom(seed, "subdural", 20.0), "hemorrhage")
            if seed < n / 2
            else (SyntheticPhantom(seed), "none")
            for seed in range(n)
        ]
        return create(lead, "A session", studies, readers, mode, seed=7)

    return created
