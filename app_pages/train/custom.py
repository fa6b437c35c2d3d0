"""The form in which every setting of a training can be chosen."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app_pages.common.text import plain
from app_pages.train.data_set import backbone_sets
from app_pages.train.device import choose_device
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.models.recipes import DEPTHS, RECIPES
from hemodetect.settings import settings
from hemodetect.training.plan import RANGES, TUNED, TrainingPlan

_NUMBERS = {
    "folds": "Folds",
    "epochs": "Epochs",
    "batch": "Batch",
    "learning_rate": "Learning rate",
    "seed": "Seed",
    "dropout": "Dropout",
    "l2": "L2",
    "depth": "Depth",
    "stop_patience": "Early stopping",
    "trials": "Search trials",
}
_DEFAULTS = {"folds": "5", "seed": "0", "trials": "20"}
_MEANINGS = {
    "stop_patience": "Epochs without gain before training stops; with 0 every epoch is trained and the"
    " last one kept. "
}
_NOT_USED = "The chosen models do not use this setting with this recipe and split."


def custom_plans(data: Path) -> tuple[list[TrainingPlan], list[TrainingPlan]] | None:
    """The form; returns the trainings and the searches it asks for, None where a field is no number."""
    top = st.columns([3, 2, 2, 2])
    families = top[0].multiselect(
        "Models",
        list(FAMILY_NAMES),
        ["svm"],
        format_func=FAMILY_NAMES.__getitem__,
        key="train_families",
    )
    recipe = top[1].selectbox(
        "Recipe", sorted({name for _, name in RECIPES}), index=_index("paper"), key="train_recipe"
    )
    split = top[2].selectbox(
        "Split",
        ["patient", "paper"],
        format_func=lambda s: "by patient" if s == "patient" else "by slice (as published)",
        key="train_split",
    )
    with top[3]:
        device = choose_device()
    if split == "paper":
        st.caption(
            ":material/warning: With this split, slices of one patient are in training and in testing."
            " The figures do not apply to new patients, and the models cannot be put into use."
        )
    places = [*st.columns(5), *st.columns(5)]
    values = {
        name: _number(place, name, _value_if_empty(name, families, recipe, split))
        for place, name in zip(places, _NUMBERS, strict=False)
    }
    if any(value is not None and math.isnan(value) for value in values.values()):
        return None
    backbone_data = None
    if recipe == "study":
        others = {folder: name for folder, name in backbone_sets().items() if folder != data}
        backbone_data = st.selectbox(
            "Data set on which the released blood network was trained",
            list(others),
            format_func=lambda folder: others[folder],
            key="train_backbone",
        )
    plans = [
        _training_plan(family, recipe, split, device, values, data, backbone_data)
        for family in families
    ]
    searches = []
    if split == "patient":
        # A search chooses the settings in `TUNED`, and gives up early by itself.
        search_values = values | dict.fromkeys((*TUNED, "stop_patience"))
        searches = [
            replace(
                _training_plan(
                    family,
                    "paper",
                    split,
                    device if family in DEPTHS else "cpu",
                    search_values,
                    data,
                    None,
                ),
                task="search",
            )
            for family in families
        ]
    return plans, searches


def _index(recipe: str) -> int:
    return sorted({name for _, name in RECIPES}).index(recipe)


def _value_if_empty(name: str, families: list[str], recipe: str, split: str) -> str:
    """The value of setting `name` that a training or a search uses if its field is empty.

    Empty where neither uses the setting.
    """
    networks = [family for family in families if family in DEPTHS] if split == "patient" else []
    if (
        name == "seed"
        or (name == "folds" and split == "patient")
        or (name == "trials" and networks)
    ):
        return _DEFAULTS[name]
    trained = _recipe_values(name, families, recipe)
    searched = {} if name in (*TUNED, "stop_patience") else _recipe_values(name, networks, "paper")
    if not searched or (set(searched.values()) == set(trained.values()) and trained):
        return _listed(trained)
    return (
        f"{_listed(trained)}; search: {_listed(searched)}"
        if trained
        else f"search: {_listed(searched)}"
    )


def _recipe_values(name: str, families: list[str], recipe: str) -> dict[str, str]:
    """The value of setting `name` in the recipe of each family that has it."""
    return {
        family: f"{getattr(RECIPES[family, recipe], name):g}"
        for family in families
        if name in _settings_of(family, recipe)
    }


def _listed(values: dict[str, str]) -> str:
    if len(set(values.values())) <= 1:
        return next(iter(values.values()), "")
    return ", ".join(f"{FAMILY_NAMES[family]} {value}" for family, value in values.items())


def _settings_of(family: str, recipe: str) -> tuple[str, ...]:
    """The settings of the recipe that a plan may change; none where the family has no such recipe."""
    recipe_settings = RECIPES.get((family, recipe))
    return () if recipe_settings is None else recipe_settings.adjustable


def _number(column: DeltaGenerator, name: str, value_if_empty: str) -> float | None:
    """The number in the field `name`; None if it is empty or not used, NaN if it is no number."""
    low, high = RANGES[name]
    text = column.text_input(
        _NUMBERS[name],
        _DEFAULTS.get(name, ""),
        placeholder=value_if_empty or None,
        help=f"{_MEANINGS.get(name, '')}{low:g} to {high:g}. If the field is empty, the value shown in"
        " grey is used."
        if value_if_empty
        else _NOT_USED,
        disabled=not value_if_empty,
        key=f"train_{name}",
    ).strip()
    if not text or not value_if_empty:
        return None
    try:
        return float(text) if name in ("learning_rate", "dropout", "l2") else int(text)
    except ValueError:
        column.error(f"“{plain(text)}” is not a number; expected {low:g} to {high:g}.")
        return math.nan


def _training_plan(
    family: str,
    recipe: str,
    split: str,
    device: str,
    values: dict[str, float | None],
    data: Path,
    backbone_data: Path | None,
) -> TrainingPlan:
    backbone = str(settings().artifacts / "backbone" / "blood")
    recipe_settings = RECIPES.get((family, recipe))
    needs_backbone = recipe_settings is not None and recipe_settings.needs_backbone
    # Without the settings that the recipe does not have: one form serves all families.
    chosen = {name: values[name] for name in _settings_of(family, recipe) if name in values}
    return TrainingPlan(
        data=str(data),
        family=family,
        recipe=recipe,
        split=split,
        folds=5 if values["folds"] is None else int(values["folds"]),
        seed=0 if values["seed"] is None else int(values["seed"]),
        trials=20 if values["trials"] is None else int(values["trials"]),
        device=device,
        backbone=backbone if needs_backbone else None,
        backbone_data=str(backbone_data) if needs_backbone and backbone_data else None,
        **chosen,  # type: ignore[arg-type]
    )
