"""What a blood network loses when its weights are rounded from 16 bits to 10.

    python benchmarks/rounded_weights.py artifacts/backbone/blood ../shared/data/ct-ich [--write]

For the network of each fold: AUROC by slice on the fold's patients of the set, in both precisions, and
the largest difference of a slice's probability. ``--write`` keeps the bundle's fold networks rounded;
the network on all patients, which answers in the app, stays as it is.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from hemodetect.dataset.cache import Dataset, open_dataset
from hemodetect.models.blood_model import WEIGHTS, BloodModel
from hemodetect.models.weight_files import write_rounded
from hemodetect.preprocessing.standard_head import standard_series
from hemodetect.registry.bundle import CARD, FORMAT, SPLIT, read_card
from hemodetect.storage.digests import file_sha256
from hemodetect.storage.whole_file import whole_file


def probabilities(network: Path, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """(n,) of the slices of `rows`, read series by series."""
    model = BloodModel.read(network)
    answers = np.zeros(len(dataset.slices))
    for _, part in dataset.slices[rows].groupby(["patient", "series"], sort=False):
        places = part.index.to_numpy()
        grey = np.ascontiguousarray(dataset.grey(model.size)[places])
        logits = model.findings(standard_series(grey)).logits
        answers[places] = 1 / (1 + np.exp(-logits))
    return answers[rows]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    dataset, card = open_dataset(options.data), read_card(options.bundle)
    split = json.loads((options.bundle / SPLIT).read_text())
    names = dataset.root.name + "/" + dataset.slices["patient"].astype(str)
    groups = names.map(split["groups"])
    print(
        f"{'fold':>4} {'slices':>7} {'16 bits':>8} {'10 bits':>8} {'largest difference':>19} bytes"
    )
    with tempfile.TemporaryDirectory() as folder:
        small: dict[str, Path] = {}
        for number, fold in enumerate(split["folds"]):
            file = options.bundle / f"fold-{number}-{WEIGHTS}"
            small[file.name] = Path(folder) / file.name
            write_rounded(small[file.name], BloodModel.read(file).keras_model)
            rows = groups.isin(set(fold["test_groups"])).to_numpy()
            labels = dataset.labels[rows]
            half, rounded = (probabilities(one, dataset, rows) for one in (file, small[file.name]))
            print(
                f"{number:>4} {rows.sum():>7,} {roc_auc_score(labels, half):>8.4f}"
                f" {roc_auc_score(labels, rounded):>8.4f} {np.abs(half - rounded).max():>19.3f}"
                f" {file.stat().st_size:,} -> {small[file.name].stat().st_size:,}",
                flush=True,
            )
        if not options.write:
            return
        files = dict(card.files)
        for name, path in small.items():
            files[name] = file_sha256(path)
            with whole_file(options.bundle / name) as partial:
                partial.write_bytes(path.read_bytes())
        with whole_file(options.bundle / CARD) as partial:
            text = {"format": FORMAT, **asdict(replace(card, files=files))}
            partial.write_text(json.dumps(text, indent=1, ensure_ascii=False) + "\n")
        print(f"{read_card(options.bundle).version}: its fold networks have 10 bits a weight now.")


if __name__ == "__main__":
    main()
