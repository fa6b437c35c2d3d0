"""What the figures hold: traces, data for a click, ranges, and colours that can be told apart."""

from itertools import combinations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from hemodetect.evaluation import Confusion
from hemodetect.evaluation.differences import agreement
from hemodetect.figures.comparing import confusion_matrices, difference_matrix
from hemodetect.figures.reading import slice_probabilities
from hemodetect.figures.theme import ACCENT, BACKGROUND, FAMILY_STYLE, MUTED, TEXT, VALIDATION
from hemodetect.figures.training import learning_curve
from hemodetect.models.families import FAMILY_NAMES

HALF = dict.fromkeys(FAMILY_NAMES, 0.5)
HISTORY = pd.DataFrame(
    {
        "epoch": [0, 1, 2],
        "loss": [0.7, 0.5, 0.3],
        "accuracy": [0.5, 0.7, 0.9],
        "val_loss": [0.7, 0.6, 0.8],
        "val_accuracy": [0.5, 0.6, 0.55],
    }
)


def probabilities(slices: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(slices)
    return {family: random.random(slices, dtype=np.float32) for family in FAMILY_NAMES}


def texts(figure: go.Figure) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


@pytest.mark.parametrize("slices", [1, 30, 300, 2000])
def test_every_point_of_every_family_carries_the_index_of_its_slice(slices):
    figure = slice_probabilities(probabilities(slices), HALF, current=slices // 2)
    assert [trace.name for trace in figure.data] == list(FAMILY_NAMES.values())
    for trace in figure.data:
        assert list(trace.x) == list(range(1, slices + 1))
        assert list(trace.customdata) == list(range(slices))
        assert "markers" in trace.mode


def test_probabilities_are_drawn_in_percent_over_the_whole_range():
    by_family = probabilities(30)
    figure = slice_probabilities(by_family, HALF, current=0)
    assert figure.data[2].y == pytest.approx(100 * by_family["cnn"])
    low, high = figure.layout.yaxis.range
    assert low <= 0
    assert high >= 100
    assert tuple(figure.layout.xaxis.range) == (0.5, 30.5)


def test_the_slice_in_view_is_marked_by_a_line_and_its_number():
    figure = slice_probabilities(probabilities(30), HALF, current=11)
    upright = [shape for shape in figure.layout.shapes if shape.x0 == shape.x1]
    assert [line.x0 for line in upright] == [12]
    assert "slice 12" in texts(figure)


def test_one_threshold_for_all_is_drawn_once_and_named():
    figure = slice_probabilities(probabilities(5), HALF, current=0)
    level = [shape.y0 for shape in figure.layout.shapes if shape.y0 == shape.y1]
    assert level == [50]
    assert "threshold<br>50 %" in texts(figure)


def test_thresholds_of_their_own_are_drawn_and_named_for_each_family():
    thresholds = dict(zip(FAMILY_NAMES, [0.5, 0.375, 0.4, 0.6, 0.7], strict=True))
    figure = slice_probabilities(probabilities(5), thresholds, current=0)
    level = [shape.y0 for shape in figure.layout.shapes if shape.y0 == shape.y1]
    assert level == pytest.approx([50, 37.5, 40, 60, 70])
    assert figure.data[1].name == "Logistic regression (threshold 37.5 %)"


def test_a_slice_at_its_threshold_is_called_suspicious_in_words():
    by_family = {"cnn": np.array([0.3, 0.7], np.float32)}
    figure = slice_probabilities(by_family, {"cnn": 0.7}, current=0)
    assert list(figure.data[0].text) == ["not suspicious", "suspicious"]


def test_a_family_that_was_not_run_leaves_no_trace():
    by_family = probabilities(4)
    del by_family["rnn"]
    figure = slice_probabilities(by_family, HALF, current=0)
    assert len(figure.data) == 4
    assert "RNN" not in [trace.name for trace in figure.data]


def test_choosing_a_point_dims_no_other():
    for trace in slice_probabilities(probabilities(4), HALF, current=0).data:
        assert trace.unselected.marker.opacity == 1


def test_families_differ_by_dash_and_by_symbol_and_leave_dots_to_thresholds():
    assert list(FAMILY_STYLE) == list(FAMILY_NAMES)
    assert len({style.dash for style in FAMILY_STYLE.values()}) == len(FAMILY_STYLE)
    assert len({style.symbol for style in FAMILY_STYLE.values()}) == len(FAMILY_STYLE)
    assert "dot" not in {style.dash for style in FAMILY_STYLE.values()}


def linear_rgb(colour: str) -> np.ndarray:
    """(3,) of ``#rrggbb``, sRGB undone (IEC 61966-2-1)."""
    s = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize(
    "colour",
    [TEXT, MUTED, ACCENT, VALIDATION, *(style.colour for style in FAMILY_STYLE.values())],
)
def test_every_colour_stands_out_from_the_page(colour):
    """WCAG 2.1, success criterion 1.4.3: contrast of 4.5 and more, as for text."""
    luminance = [linear_rgb(c) @ [0.2126, 0.7152, 0.0722] for c in (colour, BACKGROUND)]
    assert (luminance[0] + 0.05) / (luminance[1] + 0.05) >= 4.5


# Machado, Oliveira, Fernandes, IEEE Trans. Vis. Comput. Graph. 2009, 15, 1291: full severity.
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
)
PROTANOPIA = np.array(
    [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ]
)


@pytest.mark.parametrize("vision", [np.eye(3), DEUTERANOPIA, PROTANOPIA])
def test_family_colours_differ_with_and_without_red_and_green_vision(vision):
    colours = [vision @ linear_rgb(style.colour) for style in FAMILY_STYLE.values()]
    lab = [oklab(np.clip(colour, 0, 1)) for colour in colours]
    assert min(np.linalg.norm(a - b) for a, b in combinations(lab, 2)) > 0.06


def oklab(linear: np.ndarray) -> np.ndarray:
    """(3,) Oklab of linear sRGB (B. Ottosson, 2020)."""
    lms = np.cbrt(
        np.array(
            [
                [0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005],
            ]
        )
        @ linear
    )
    return (
        np.array(
            [
                [0.2104542553, 0.7936177850, -0.0040720468],
                [1.9779984951, -2.4285922050, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.8086757660],
            ]
        )
        @ lms
    )


def test_confusion_cells_carry_model_cell_count_and_share_of_the_row():
    figure = confusion_matrices({"cnn": Confusion(tn=30, fp=10, fn=5, tp=15)}, {"cnn": "CNN"})
    (cells,) = figure.data
    assert list(cells.customdata) == [["cnn", cell] for cell in ("tn", "fp", "fn", "tp")]
    # A label is a row, a call a column; the first row is drawn on top.
    assert list(zip(cells.x, cells.y, strict=True)) == [(0, 0), (1, 0), (0, 1), (1, 1)]
    assert cells.text[1] == "<b>10</b><br>25 %<br>false alarm"
    assert cells.text[2] == "<b>5</b><br>25 %<br>missed"
    low, high = figure.layout.yaxis.range
    assert low > high
    assert cells.marker.symbol == "square"


def test_a_confusion_row_without_cases_shows_zero():
    (cells,) = confusion_matrices({"cnn": Confusion(3, 1, 0, 0)}, {"cnn": "CNN"}).data
    assert cells.text[3] == "<b>0</b><br>0 %<br>right"


def test_the_open_cell_alone_is_outlined():
    both = {"cnn": Confusion(1, 2, 3, 4), "svm": Confusion(1, 2, 3, 4)}
    names = {"cnn": "CNN", "svm": "SVM"}
    shapes = confusion_matrices(both, names, ("svm", "fn")).layout.shapes
    outlined = [number for number, shape in enumerate(shapes) if shape.line.color == ACCENT]
    assert outlined == [4 + 2]


def test_a_difference_cell_gives_both_models_and_counts_what_only_the_row_has_right():
    labels = np.array([1, 1, 0, 0])
    a, b = np.array([True, True, False, True]), np.array([False, True, True, True])
    counts = {("svm", "cnn"): agreement(labels, a, b), ("cnn", "svm"): agreement(labels, b, a)}
    (cells,) = difference_matrix(counts, {"svm": "SVM", "cnn": "CNN"}).data
    cell_texts = dict(zip(map(tuple, cells.customdata), cells.text, strict=True))
    assert cell_texts == {("svm", "cnn"): "<b>2</b>", ("cnn", "svm"): "<b>0</b>"}
    assert list(zip(cells.x, cells.y, strict=True)) == [(1, 0), (0, 1)]


def test_the_learning_curve_shows_both_measures_and_the_epoch_kept():
    figure = learning_curve(HISTORY)
    by_axis = [(trace.name, trace.xaxis, list(trace.y)) for trace in figure.data]
    assert ("Training", "x", [0.7, 0.5, 0.3]) in by_axis
    assert ("Validation", "x", [0.7, 0.6, 0.8]) in by_axis
    assert ("Training", "x2", [50, 70, 90]) in by_axis
    kept_epochs = [trace for trace in figure.data if trace.name == "Epoch kept"]
    assert [(list(trace.x), list(trace.y)) for trace in kept_epochs] == [([2], [0.6])]


def test_several_folds_share_one_legend():
    folds = pd.concat([HISTORY.assign(fold=number) for number in range(3)])
    legend = [trace.name for trace in learning_curve(folds).data if trace.showlegend]
    assert sorted(legend) == ["Epoch kept", "Training", "Validation"]


def test_a_training_whose_loss_was_never_finite_keeps_no_epoch():
    figure = learning_curve(HISTORY.assign(val_loss=np.nan))
    assert "Epoch kept" not in [trace.name for trace in figure.data]


def test_a_model_without_epochs_says_so():
    figure = learning_curve(pd.DataFrame())
    assert texts(figure) == ["This model is not trained in epochs."]


@pytest.mark.parametrize(
    "figure",
    [
        slice_probabilities(probabilities(3), HALF, current=0),
        confusion_matrices({"cnn": Confusion(1, 2, 3, 4)}, {"cnn": "CNN"}),
        learning_curve(HISTORY),
    ],
    ids=["slices", "confusion", "learning curve"],
)
def test_no_figure_offers_to_send_itself_to_a_cloud(figure):
    assert "sendChartToCloud" in figure.layout.modebar.remove
