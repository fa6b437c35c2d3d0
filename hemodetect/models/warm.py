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
    blank = [Slice(np.zeros((128, 128), np.uint8), "grey", "blank")]
    for model in releases.models.values():
        model.predict(blank)
        model.predict(blank * 2)
    if "cnn" in releases.models:
        study_maps(releases.models["cnn"], blank)
    return releases
