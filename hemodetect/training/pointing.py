"""How often the maps of a backbone point at a bleed, in patients that its networks had not seen."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np

from hemodetect.dataset.joined import SET
from hemodetect.dataset.slice_tables import BOXES
from hemodetect.explain.heat_maps import grad_cam_maps
from hemodetect.explain.pointing import chance, points_at
from hemodetect.models.blood_model import BloodModel
from hemodetect.models.interface import BLOOD_MAP, GRADIENT_METHODS
from hemodetect.models.series_cache import SeriesCache
from hemodetect.preprocessing.standard_head import in_source
from hemodetect.training.backbone import Backbone

_SIDE = 122  # pixels of a map over the whole slice


@dataclass(frozen=True)
class Pointing:
    """Hits of each kind of map in the boxed slices of one set.

    Attributes:
        slices, patients: looked at.
        hits: slices in which the maximum of a map lies in a box, by name of the map.
        chance: hits that places drawn at random in the head would have.
    """

    slices: int
    patients: int
    hits: dict[str, int]
    chance: float


def measured_pointing(backbone: Backbone) -> dict[str, Pointing]:
    """Out of fold, by name of the set; sets without boxes are left out."""
    dataset = backbone.dataset
    table = dataset.slices.reset_index(drop=True)
    if BOXES not in table.columns:
        return {}
    boxed = (table[BOXES] != "").to_numpy()
    names = table[SET] if SET in table.columns else table[BOXES].map(lambda _: dataset.root.name)
    grey = dataset.grey(244)
    found: dict[str, list[tuple[str, dict[str, bool], float]]] = {}
    for number in range(len(backbone.split.folds)):
        model = BloodModel.read(backbone.fold_weights(number))
        wanted = table[backbone.split.test_mask(dataset.slices, number)]
        for places in wanted.groupby(["patient", "series"], dropna=False).indices.values():
            rows = wanted.index.to_numpy()[places]
            looked_at = np.flatnonzero(boxed[rows])
            if not len(looked_at):
                continue
            pictures = np.ascontiguousarray(grey[rows])
            maps, heads = _maps(model, pictures, looked_at)
            for place, index in enumerate(looked_at):
                row = table.iloc[rows[index]]
                wide, high = float(row["columns"]), float(row["rows"])
                boxes = (np.array(json.loads(row[BOXES])) / [wide, high, wide, high]).tolist()
                hit = {name: points_at(heat[place], boxes) for name, heat in maps.items()}
                found.setdefault(str(names.iloc[rows[index]]), []).append(
                    (str(row["patient"]), hit, chance(heads[place], boxes))
                )
    return {
        name: Pointing(
            slices=len(of_set),
            patients=len({patient for patient, _, _ in of_set}),
            hits={m: sum(hit[m] for _, hit, _ in of_set) for m in of_set[0][1]},
            chance=round(sum(share for _, _, share in of_set), 1),
        )
        for name, of_set in found.items()
    }


def _maps(
    model: BloodModel, grey: np.ndarray, rows: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Maps of some slices of a series over the whole slices, and where the head is."""
    cache = SeriesCache()
    standard = cache.standard(grey)
    source = model.heat_map_source(grey, cache)
    part = standard.affine[rows]
    blood = model.findings(standard).maps[rows]
    cam = grad_cam_maps(replace(source, images=source.images[rows]))
    maps: dict[str, np.ndarray] = {
        GRADIENT_METHODS[0]: in_source(cam, part, _SIDE),
        BLOOD_MAP: in_source(blood, part, _SIDE),
    }
    heads = in_source((standard.grey[rows] > 0).astype(np.float32), part, _SIDE) > 0.5
    return maps, heads
