"""From the folder of a bundle to the model in it, for every recipe."""

from __future__ import annotations

from pathlib import Path

from hemodetect.models.interface import FittedModel
from hemodetect.models.recipes import (
    BloodRecipe,
    KernelRecipe,
    NetworkRecipe,
    Recipe,
    StudyRecipe,
)


def load_model(folder: Path, recipe: Recipe) -> FittedModel:
    """The model that its `save` wrote into `folder`.

    Each family brings its own library when it is loaded: Keras takes 3 s to come, and an SVM on pixels
    does without.

    Raises:
        BundleError: a file is unsafe or damaged.
    """
    match recipe:
        case BloodRecipe():
            from hemodetect.models.blood_model import BloodModel

            return BloodModel.load(folder, recipe)
        case StudyRecipe():
            from hemodetect.models.study_model import StudyModel

            return StudyModel.load(folder, recipe)
        case NetworkRecipe():
            from hemodetect.models.network_model import NetworkModel

            return NetworkModel.load(folder, recipe)
        case KernelRecipe(family="svm"):
            from hemodetect.models.svm import SvmModel

            return SvmModel.load(folder, recipe)
        case KernelRecipe():
            from hemodetect.models.logistic import LogisticModel

            return LogisticModel.load(folder, recipe)
