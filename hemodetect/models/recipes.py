"""Recipes: preprocessing, architecture and training settings of one model, by name.

``paper`` is the recipe as the study published it; where the study does not say, our choice is marked.
``blood`` and ``study`` are ours: a CNN taught to find blood in a slice, and what each family makes of a
whole study with that CNN as its backbone.

What a kind of recipe allows stands in class attributes, so that nobody asks for the kind:

- ``adjustable``: settings that a training may replace;
- ``needs_backbone``: it is trained on what a network of the recipe ``blood`` finds;
- ``keeps_fold_models``: its bundle holds the model of every fold, for what is built on it must not have
  seen a fold's patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hemodetect.errors import HemodetectError


class UnknownRecipe(HemodetectError):
    """No recipe has this name for this family."""


@dataclass(frozen=True)
class Augmentation:
    """Random affine changes of a training slice, drawn anew each epoch.

    The study names the kinds; the ranges are ours.
    """

    shift: float = 0.1
    """Largest shift, as a part of the side."""
    rotation_degrees: float = 15.0
    zoom: float = 0.1
    shear: float = 0.1
    """Largest shear, in radians."""
    horizontal_flip: bool = True


@dataclass(frozen=True)
class NamedRecipe:
    """What all recipes have; attributes as in the text above."""

    adjustable: ClassVar[tuple[str, ...]] = ()
    needs_backbone: ClassVar[bool] = False
    keeps_fold_models: ClassVar[bool] = False

    family: str
    name: str


@dataclass(frozen=True)
class KernelRecipe(NamedRecipe):
    """An SVM or a logistic regression on all pixels of a slice.

    Attributes:
        kernel: "rbf", "poly" (degree 3) or "linear"; logistic regression is always "linear".
        regularisation: scikit-learn's C.
        components: principal components that support vectors are kept in (SVM only).
    """

    epochs: ClassVar[None] = None

    kernel: str
    size: int = 128
    regularisation: float = 1.0
    max_iter: int = 1000
    components: int = 128
    threshold: float = 0.5


@dataclass(frozen=True)
class NetworkRecipe(NamedRecipe):
    """A network trained on slices.

    Attributes:
        size: side of the input in pixels.
        depth: convolution blocks of the CNN, LSTMs of the others.
        dropout: after each of these; the layers behind them keep the study's.
        l2: weight of the penalty on the kernels of the convolutions, or of every layer of the
            attention RNN. For the CNN the study says L2 and not how much.
        validation_share: part of the training patients that training is watched by (ours).
        plateau_patience: epochs without gain before the learning rate is halved (ours).
        stop_patience: epochs without gain before training stops, and the best epoch is kept (ours); 0:
            every epoch is trained and the last one kept, as the study did.
        precision: "float32", or "bfloat16": products in half of the bits, weights and sums in float32.
        clip_norm: longest gradient. Ours, for the RNN alone: as published, its ReLU LSTMs' loss grew
            to 4.6e15 in the fifth epoch.
    """

    adjustable: ClassVar[tuple[str, ...]] = (
        "epochs",
        "batch",
        "learning_rate",
        "dropout",
        "l2",
        "depth",
        "stop_patience",
        "precision",
    )

    size: int
    epochs: int = 50
    batch: int = 32
    learning_rate: float = 1e-3
    depth: int = 2
    dropout: float = 0.3
    l2: float = 0.0
    validation_share: float = 0.15
    plateau_patience: int = 3
    stop_patience: int = 10
    precision: str = "float32"
    clip_norm: float | None = None
    threshold: float = 0.5
    augmentation: Augmentation = Augmentation()


@dataclass(frozen=True)
class BloodRecipe(NamedRecipe):
    """The CNN that looks for blood in standard slices, trained on a set labelled slice by slice.

    Attributes:
        size: side of the slices that heads are taken from, in pixels.
        cycles: parts of equal length that training is cut into. In each the learning rate rises and
            falls to nothing, from the second on to half of the height before.
        steps: batches an epoch.
        bleeding, painted: slices with a real and with a painted bleed in each batch; the rest is
            normal.
    """

    adjustable: ClassVar[tuple[str, ...]] = ("epochs",)
    keeps_fold_models: ClassVar[bool] = True

    size: int = 244
    epochs: int = 8
    cycles: int = 1
    steps: int = 40
    batch: int = 32
    bleeding: int = 13
    painted: int = 6
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.02
    threshold: float = 0.5


@dataclass(frozen=True)
class StudyRecipe(NamedRecipe):
    """What a family makes of a whole study, from what the blood network finds in its slices.

    Attributes:
        size: side of the slices that heads are taken from, in pixels.
        stride: of the slices of a patient labelled by folder, SVM and logistic regression are fitted to
            every `stride`-th, because neighbours are alike.
        regularisation: scikit-learn's C.
        gamma: of the SVM's RBF kernel, on features of unit variance.
        units, epochs, batch, learning_rate: of the recurrent networks.
        inner_folds: that the scales are fitted over.
        threshold, slice_threshold: calibrated probabilities from which on a patient, and a slice, is
            called.
    """

    needs_backbone: ClassVar[bool] = True

    size: int = 244
    stride: int = 4
    regularisation: float = 0.1
    gamma: float = 0.01
    units: int = 16
    epochs: int = 14
    batch: int = 64
    learning_rate: float = 5e-3
    inner_folds: int = 3
    threshold: float = 0.5
    slice_threshold: float = 0.15


Recipe = KernelRecipe | NetworkRecipe | BloodRecipe | StudyRecipe

_ALL: tuple[Recipe, ...] = (
    KernelRecipe("svm", "paper", kernel="rbf"),
    KernelRecipe("svm", "paper-poly", kernel="poly"),
    KernelRecipe("svm", "paper-linear", kernel="linear"),
    KernelRecipe("logistic", "paper", kernel="linear"),
    NetworkRecipe("cnn", "paper", size=128, depth=5, l2=1e-4),
    NetworkRecipe("rnn", "paper", size=128, clip_norm=1.0),
    NetworkRecipe("attention_rnn", "paper", size=244, l2=0.01),
    BloodRecipe("cnn", "blood", epochs=16, cycles=2),
    StudyRecipe("svm", "study"),
    StudyRecipe("logistic", "study"),
    StudyRecipe("cnn", "study"),
    StudyRecipe("rnn", "study"),
    StudyRecipe("attention_rnn", "study"),
)
DEPTHS: dict[str, tuple[int, int]] = {"cnn": (3, 5), "rnn": (1, 3), "attention_rnn": (1, 3)}
"""Least and most depth of a network; a sixth block would leave no pixel of a CNN's image."""
RECIPES: dict[tuple[str, str], Recipe] = {(r.family, r.name): r for r in _ALL}


def recipe_named(family: str, name: str) -> Recipe:
    """The recipe `name` of `family`; raises `UnknownRecipe`, which names the family's recipes."""
    try:
        return RECIPES[family, name]
    except KeyError:
        names = ", ".join(sorted(n for f, n in RECIPES if f == family)) or "no recipe at all"
        raise UnknownRecipe(f"{family} has no recipe {name!r}; it has {names}.") from None
