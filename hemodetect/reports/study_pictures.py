"""The most suspicious slices of a study, the CNN's heat map over them, and how a PDF shows them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image
from reportlab.platypus import Flowable, KeepTogether, Spacer, Table, TableStyle
from reportlab.platypus import Image as Picture

from hemodetect.explain.overlay import heatmap_overlay
from hemodetect.imaging.study import Units
from hemodetect.imaging.windows import BRAIN, brain_grey
from hemodetect.prediction.study_prediction import StudyPrediction
from hemodetect.reports.pdf import CAPTION, CELL, HEADING, WIDTH, paragraph

MOST_PICTURES = 4
"""Slices that are shown."""
PICTURE_SIDE = 512
"""Most pixels along a picture's side: 300 to the inch where four stand in a row."""
_LARGEST, _GAP = 160.0, 6.0
"""Points: the side of a picture at most, and between two."""
_OPACITY = 0.6


@dataclass(frozen=True, eq=False)
class SlicePicture:
    """A suspicious slice as the PDF prints it and the DICOM results export it.

    Attributes:
        index: of the slice in its series, from 0.
        grey: (rows, columns) uint8, in the brain window, or the grey levels of the source picture.
        overlay: (rows, columns, 3) uint8 RGB, the slice with a heat map over it and no text; None
            without a heat map.
        mean_probability: of the models in use, for this slice, in [0, 1].
        method: of the heat map, for people.
        family: key of the model that the heat map explains.
    """

    index: int
    grey: np.ndarray
    overlay: np.ndarray | None
    mean_probability: float
    method: str = "Grad-CAM"
    family: str = "cnn"


def slice_pictures(
    prediction: StudyPrediction, maps: np.ndarray | None
) -> tuple[SlicePicture, ...]:
    """The slices most suspicious by the models' mean, highest first, no larger than they are printed.

    Args:
        prediction: of the study; without any model there is no picture.
        maps: (n, rows, columns) float32 of `explain.heat_maps.study_maps`, not below 0;
            full strength is the strongest of the study. None where there is no CNN.
    """
    if not prediction.families:
        return ()
    strongest = 1.0 if maps is None else float(maps.max()) or 1.0
    pictures = []
    for index in prediction.top_slices()[:MOST_PICTURES]:
        grey = _shrunk(brain_grey(prediction.study.slices[index]))
        mean = np.mean([found.probabilities[index] for found in prediction.families.values()])
        overlay = None if maps is None else _overlaid(grey, maps[index] / strongest)
        pictures.append(SlicePicture(index, grey, overlay, float(mean)))
    return tuple(pictures)


def picture_section(pictures: Sequence[SlicePicture], units: Units, slices: int) -> list[Flowable]:
    """The first `MOST_PICTURES` with the heat map beside each, four panels in a row at most.

    Args:
        pictures: may be empty, and so is the section then.
        units: of the study's slices.
        slices: how many the study has.
    """
    if not pictures:
        return []
    pictures = pictures[:MOST_PICTURES]
    mapped = any(picture.overlay is not None for picture in pictures)
    panels = 2 if mapped else 1
    per_row = min(MOST_PICTURES // panels, len(pictures))
    side = min(WIDTH / (panels * per_row) - _GAP, _LARGEST)
    window = (
        f"Slices in the brain window (width {BRAIN.width:.0f} HU, level {BRAIN.level:.0f} HU)."
        if units == "HU"
        else "Slices in their own grey levels."
    )
    heading = paragraph("Most suspicious slices (mean of the models)", style=HEADING)
    block: list[Flowable] = [heading]
    for start in range(0, len(pictures), per_row):
        block.append(_row_of(pictures[start : start + per_row], per_row, panels, side, slices))
    if mapped:
        block += [Spacer(0, 3), _colour_scale()]
    maps = (
        "Heat maps show what moved a model's answer towards hemorrhage, not where a hemorrhage is."
        " The strongest of a study has the full colour even where no model calls hemorrhage."
        if mapped
        else "There are no heat maps, which need the CNN."
    )
    block.append(paragraph(f"{maps} {window}", style=CAPTION))
    return [KeepTogether(block)]


def _row_of(
    pictures: Sequence[SlicePicture], per_row: int, panels: int, side: float, slices: int
) -> Table:
    images: list[Flowable | str] = []
    captions: list[Flowable | str] = []
    for picture in pictures:
        images.append(_picture(picture.grey, side))
        mean = f"{100 * picture.mean_probability:.1f} %"
        where = f"Slice {picture.index + 1} of {slices}, mean probability {mean}"
        captions.append(paragraph(where, style=CELL))
        if panels == 2:
            images.append(
                paragraph("no heat map", style=CAPTION)
                if picture.overlay is None
                else _picture(picture.overlay, side)
            )
            captions.append("")
    empty = [""] * (panels * per_row - len(images))
    spans = [
        ("SPAN", (start, 1), (start + panels - 1, 1)) for start in range(0, len(images), panels)
    ]
    return _bare([images + empty, captions + empty], [side + _GAP] * len(images + empty), spans)


def _colour_scale() -> Table:
    """The colours as they look over mid grey."""
    heat = np.tile(np.linspace(0, 1, 256), (8, 1))
    bar = _encoded(heatmap_overlay(np.full(heat.shape, 100, np.uint8), heat, _OPACITY), "png")
    ends = ("CNN (Grad-CAM), evidence for hemorrhage: none", "strongest in this study")
    left, right = (paragraph(text, style=CAPTION) for text in ends)
    return _bare([[left, Picture(bar, 96, 7), right]], [190, 96 + _GAP, 120])


def _bare(
    cells: Sequence[Sequence[Flowable | str]],
    widths: Sequence[float],
    spans: Sequence[tuple[str, tuple[int, int], tuple[int, int]]] = (),
) -> Table:
    """A table without lines, from the left margin; widths in points."""
    style = [
        *spans,
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), _GAP),
        ("TOPPADDING", (0, 0), (-1, -1), 0),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
    ]
    return Table(cells, colWidths=widths, hAlign="LEFT", style=TableStyle(style))


def _picture(image: np.ndarray, side: float) -> Picture:
    """A uint8 image, (rows, columns) or with 3 colours, in a square of `side` points."""
    rows, columns = image.shape[:2]
    scale = side / max(rows, columns)
    # Grey stays lossless; overlays are colour over anatomy, and far smaller so.
    data = _encoded(_shrunk(image), "png" if image.ndim == 2 else "jpeg")
    return Picture(data, max(scale * columns, 1), max(scale * rows, 1))


def _encoded(image: np.ndarray, kind: Literal["png", "jpeg"]) -> io.BytesIO:
    data = io.BytesIO()
    options = {"quality": 90} if kind == "jpeg" else {}
    Image.fromarray(np.ascontiguousarray(image)).save(data, kind, **options)
    data.seek(0)
    return data


def _shrunk(image: np.ndarray) -> np.ndarray:
    """A uint8 image, its longer side `PICTURE_SIDE` pixels at most."""
    if max(image.shape[:2]) <= PICTURE_SIDE:
        return image
    smaller = Image.fromarray(np.ascontiguousarray(image))
    smaller.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BILINEAR)
    return np.asarray(smaller)


def _overlaid(grey: np.ndarray, heat: np.ndarray) -> np.ndarray:
    # Here, not above: it brings TensorFlow, which takes seconds that a report without maps is spared.
    from hemodetect.explain.overlay import in_register

    shape = (grey.shape[0], grey.shape[1])
    return heatmap_overlay(grey, np.clip(in_register(heat, shape), 0, 1), _OPACITY)
