"""The study's own five models, as published: kept with weights beside the releases, never in use.

They were trained under the study's split, in which slices of one patient are on both sides, so their
scores leak and they cannot be promoted. The app and `hemodetect predict --models published` show them
for comparison.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from hemodetect.errors import BundleError
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.models.loading import load_model
from hemodetect.registry.bundle import HISTORY, PREDICTIONS, Card, read_card, write_bundle
from hemodetect.registry.promotion import PUBLISHED
from hemodetect.registry.releases import ReleasedModel, Releases, load_bundle


def load_published(artifacts: Path) -> Releases:
    """Every published model under `artifacts`; one that cannot be loaded does not stop the others.

    What they say of patients whose slices they were trained on is not replaced: under the study's split
    there are no out-of-fold answers for a patient.
    """
    models: dict[str, ReleasedModel] = {}
    missing: dict[str, str] = {}
    for family in FAMILY_NAMES:
        try:
            models[family] = replace(load_bundle(artifacts / PUBLISHED / family), known=None)
        except BundleError as error:
            missing[family] = str(error)
    return Releases(models, missing)


def publish(bundle: Path, artifacts: Path) -> Card:
    """Keeps a bundle as the published model of its family, networks with rounded weights.

    Args:
        bundle: trained with the recipe ``paper`` under the paper split.
        artifacts: where the published models are.

    Raises:
        BundleError: another recipe or split, no model, or there is a published model already.
    """
    card = read_card(bundle)
    if card.recipe != "paper" or card.split != "paper" or not card.has_model:
        raise BundleError(
            f"{bundle}: a published model is one of the recipe paper, trained with --split paper; this"
            f" is {card.recipe}, split {card.split}."
        )

    from hemodetect.models.network_model import NetworkModel  # brings Keras, which takes 3 s
    from hemodetect.models.svm import SvmModel

    def fill(folder: Path) -> None:
        for name in (PREDICTIONS, HISTORY):
            if name in card.files:
                shutil.copyfile(bundle / name, folder / name)
        model = load_model(bundle, card.recipe_settings)
        if isinstance(model, NetworkModel | SvmModel):
            model.save_rounded(folder)
        else:
            model.save(folder)

    return write_bundle(
        artifacts / PUBLISHED / card.family, fill, lambda files: replace(card, files=files)
    )
