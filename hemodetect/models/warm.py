"""Loading the released models so that the first study is as fast as the next."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hemodetect.imaging.study import Slice
from hemodetect.models.released import Releases, load_releases


def load_warm(artifacts: Path) -> Releases:
    """The releases under `artifacts`, each run once, heat map included: compiling is paid here."""
    from hemodetect.explain import study_maps

    releases = load_releases(artifacts)
    # A disc passes for a head; of a slice without one, the networks are not asked.
    rows, columns = np.mgrid[-64:64, -64:64]
    disc = np.where(np.hypot(rows, columns) < 45, 100, 0).astype(np.uint8)
    series = [Slice(disc, "grey", "disc")]
    for model in releases.models.values():
        model.predict(series)
        model.predict(series * 2)
    if "cnn" in releases.models:
        study_maps(releases.models["cnn"], series, {})
    return releases
