"""Loading the released models so that the first study is as fast as the next."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hemodetect.models.released import Releases, load_releases


def load_warm(artifacts: Path) -> Releases:
    """The releases under `artifacts`, each run once, heat map included: compiling is paid here."""
    from hemodetect.explain import grad_cam_maps
    from hemodetect.models.network_family import NetworkModel

    releases = load_releases(artifacts)
    for family, model in releases.models.items():
        blank = np.zeros((1, model.fitted.size, model.fitted.size), np.uint8)
        model.predict_inputs(blank)
        if family == "cnn" and isinstance(model.fitted, NetworkModel):
            grad_cam_maps(model.fitted.keras_model, blank)
    return releases
