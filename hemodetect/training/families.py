"""The family, or our form of it, that a recipe belongs to."""

from __future__ import annotations

from hemodetect.models.interface import Family
from hemodetect.models.recipes import BloodRecipe, Recipe, StudyRecipe


def family_of(recipe: Recipe) -> Family:
    """What fits and loads models of a recipe.

    Each brings its own library as it is asked for: Keras takes 3 s to come, and a training of an SVM
    on pixels does without.
    """
    if isinstance(recipe, BloodRecipe):
        from hemodetect.models.blood_model import BloodFamily

        return BloodFamily()
    if isinstance(recipe, StudyRecipe):
        from hemodetect.models.study_model import StudyFamily

        return StudyFamily()
    if recipe.family == "svm":
        from hemodetect.models.svm import SvmFamily

        return SvmFamily()
    if recipe.family == "logistic":
        from hemodetect.models.logistic import LogisticFamily

        return LogisticFamily()
    from hemodetect.models.network_model import NetworkFamily

    return NetworkFamily()
