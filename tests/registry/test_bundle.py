"""A bundle is whole, unaltered and of a known kind, or it is refused in a sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hemodetect.errors import BundleError
from hemodetect.models.interface import SeriesPrediction, mean_prediction
from hemodetect.models.series_cache import SeriesCache
from hemodetect.models.weight_files import write_arrays
from hemodetect.registry import releases
from hemodetect.registry.bundle import CARD, Card, read_card, write_bundle
from hemodetect.registry.releases import ReleasedModel, load_bundle, load_releases


def card_of(files: dict[str, str], **changes: object) -> Card:
    """A card that lists these files."""
    values = {
        "family": "svm", "recipe": "paper", "split": "patient", "fingerprint": "0" * 16,
        "counts": {"slices": 2}, "seed": 0, "epochs": None, "threshold": 0.5,
        "threshold_reason": "as published", "metrics": {}, "seconds": {"all": 1.0},
        "versions": {}, "commit": "unknown", "created": "2026-01-02", "remarks": ("one",),
        "files": files,
    }  # fmt: skip
    return Card(**{**values, **changes})


def bundle_at(folder: Path, **changes: object) -> Card:
    """A bundle of one small file at `folder`."""
    return write_bundle(
        folder,
        lambda f: (f / "history.csv").write_text("epoch\n"),
        lambda files: card_of(files, **changes),
    )


def test_a_bundle_reads_back_as_written(tmp_path: Path) -> None:
    written = bundle_at(tmp_path / "b")
    assert read_card(tmp_path / "b") == written


def test_a_failure_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("written")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_bundle(tmp_path / "b", fail, lambda _: pytest.fail("no card without files"))
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_is_never_written_over(tmp_path: Path) -> None:
    bundle_at(tmp_path / "b")
    with pytest.raises(BundleError, match="exists already"):
        bundle_at(tmp_path / "b")


def test_an_altered_file_is_refused_by_name(tmp_path: Path) -> None:
    bundle_at(tmp_path / "b")
    (tmp_path / "b" / "history.csv").write_text("epoch\n1\n")
    with pytest.raises(BundleError, match=r"history\.csv: its SHA-256 is not the one in card"):
        read_card(tmp_path / "b")


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    bundle_at(tmp_path / "b")
    (tmp_path / "b" / "history.csv").unlink()
    with pytest.raises(BundleError, match=r"history\.csv: missing"):
        read_card(tmp_path / "b")


@pytest.mark.parametrize("name", ["../history.csv", "/etc/passwd", "a/b", ".hidden", ""])
def test_a_card_cannot_reach_outside_its_bundle(tmp_path: Path, name: str) -> None:
    bundle_at(tmp_path / "b")
    path = tmp_path / "b" / CARD
    card = json.loads(path.read_text())
    path.write_text(json.dumps({**card, "files": {name: "0" * 64}}))
    with pytest.raises(BundleError, match="not a plain file name"):
        read_card(tmp_path / "b")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": 3}, "format 3, this program reads format 2"),
        ({"family": "oracle"}, "unknown family 'oracle'"),
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"slice_threshold": "0.3"}, "threshold of slices is '0.3'"),
        ({"pointing": {"ct-ich": 3}}, "figures of pointing cannot be read"),
        ({"surprise": 1}, "not a card"),
    ],
)
def test_a_strange_card_is_refused(
    tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    bundle_at(tmp_path / "b")
    path = tmp_path / "b" / CARD
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(BundleError, match=sentence):
        read_card(tmp_path / "b")


def test_a_bundle_of_the_first_format_is_read(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "teacher-predictions.parquet").write_text("")
        (folder / "teacher-split.json").write_text("")

    written = write_bundle(tmp_path / "b", fill, lambda files: card_of(files))
    path = tmp_path / "b" / CARD
    raw = json.loads(path.read_text()) | {"format": 1, "teacher_fingerprint": "ab"}
    del raw["backbone_fingerprint"]
    path.write_text(json.dumps(raw))
    card = read_card(tmp_path / "b")
    assert card == replace(written, backbone_fingerprint="ab")
    assert card.backbone_predictions == "teacher-predictions.parquet"
    assert card.backbone_split == "teacher-split.json"


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"format": 1}'])
def test_a_card_that_is_no_card_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / CARD).write_text(text)
    with pytest.raises(BundleError, match=r"card\.json: not a card"):
        read_card(tmp_path)


def test_a_bundle_of_a_paper_split_is_never_loaded(tmp_path: Path) -> None:
    bundle_at(tmp_path / "b", split="paper")
    with pytest.raises(BundleError, match="those of a paper split leak"):
        load_bundle(tmp_path / "b")


def test_a_family_without_release_is_named_and_the_rest_is_loaded(tmp_path: Path) -> None:
    releases = load_releases(tmp_path)
    assert releases.models == {}
    assert set(releases.missing) == {"svm", "logistic", "cnn", "rnn", "attention_rnn"}
    assert "no bundle here" in releases.missing["cnn"]


def test_a_probability_that_is_not_a_number_is_never_a_call(tmp_path: Path) -> None:
    class Diverged:
        size = 8

        def predict(self, grey: np.ndarray, cache: SeriesCache | None = None) -> SeriesPrediction:
            return mean_prediction(np.full(len(grey), np.nan, np.float32))

    model = ReleasedModel(bundle_at(tmp_path / "b"), Diverged())
    with pytest.raises(BundleError, match="not a number"):
        model.predict_inputs(np.zeros((2, 8, 8), np.uint8))


@pytest.mark.parametrize(
    "changes", [{"recipe": "nope"}, {"created": "/../../../escaped"}, {"files": ["a"]}]
)
def test_a_card_of_strange_values_is_refused_and_the_others_are_loaded(
    tmp_path: Path, changes: dict
) -> None:
    folder = tmp_path / "releases" / "svm"
    bundle_at(folder)
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, **changes}))
    with pytest.raises(BundleError):
        read_card(folder)
    assert "svm" in load_releases(tmp_path).missing


def test_a_model_of_the_wrong_shape_is_missing_and_no_traceback(tmp_path: Path) -> None:
    folder = tmp_path / "releases" / "svm"
    wrong = {"mean": np.zeros(3), "scale": np.ones(3)}

    def card(files: dict[str, str]) -> Card:
        return replace(bundle_at(tmp_path / "other"), files=files)

    write_bundle(folder, lambda f: write_arrays(f / "model.skops", wrong), card)
    assert "svm" in load_releases(tmp_path).missing


def test_a_bundle_that_is_exchanged_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card and the weights are never of two different bundles."""
    folder = tmp_path / "svm"
    cards = iter(["old", "new", "new", "new"])

    class Files:
        def __init__(self, version: str) -> None:
            self.files = {"model": version}

    class Model:
        def __init__(self, version: str) -> None:
            self.card = Files(version)

    monkeypatch.setattr(releases, "read_card", lambda _: Files(next(cards)))
    monkeypatch.setattr(
        releases, "_read_bundle", lambda f: Model(releases.read_card(f).files["model"])
    )
    assert load_bundle(folder).card.files == {"model": "new"}  # type: ignore[comparison-overlap]
