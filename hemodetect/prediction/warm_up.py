"""Loading the released models so that the first study is as fast as the next."""

from __future__ import annotations

from pathlib import Path

from hemodetect.registry.releases import Releases, disc_slice, load_releases


def load_warm(artifacts: Path) -> Releases:
    """The releases under `artifacts`, each run once, heat maps included: compiling is paid here."""
    from hemodetect.explain.heat_maps import study_maps

    releases = load_releases(artifacts)
    # Loading has asked each about one slice; more than one takes another compiled function.
    series = [disc_slice()] * 2
    for model in releases.models.values():
        model.predict(series)
        if model.fitted.abilities.heat_maps:
            study_maps(model, series)
    return releases
