"""The family, or our form of it, that a recipe belongs to."""

from hemodetect.models.blood_family import BloodFamily
from hemodetect.models.family import Family
from hemodetect.models.logistic import LogisticFamily
from hemodetect.models.network_family import NetworkFamily
from hemodetect.models.recipes import BloodRecipe, Recipe, StudyRecipe
from hemodetect.models.study_model import StudyFamily
from hemodetect.models.svm import SvmFamily

_NETWORKS = NetworkFamily()
_PIXELS: dict[str, Family] = {
    "svm": SvmFamily(),
    "logistic": LogisticFamily(),
    "cnn": _NETWORKS,
    "rnn": _NETWORKS,
    "attention_rnn": _NETWORKS,
}


def family_of(recipe: Recipe) -> Family:
    """What fits and loads models of a recipe."""
    if isinstance(recipe, BloodRecipe):
        return BloodFamily()
    return StudyFamily() if isinstance(recipe, StudyRecipe) else _PIXELS[recipe.family]
