"""How often the heat maps of a CNN point at a bleed, in patients that it had not seen.

    python benchmarks/pointing.py BACKBONE BACKBONE_DATA

BACKBONE is a bundle of the recipe `blood` with the networks of its folds, BACKBONE_DATA the set that
it was trained on, with boxes around bleeds. A hit: the maximum of the map lies in a box, grown by 8 of
512 pixels.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hemodetect.dataset.cache import open_dataset
from hemodetect.training.backbone import Backbone
from hemodetect.training.pointing import measured_pointing


def main() -> None:
    folder, data = map(Path, sys.argv[1:])
    for name, pointing in measured_pointing(Backbone(folder, open_dataset(data))).items():
        print(f"{name}: {pointing.slices} slices of {pointing.patients} patients")
        for method, hits in pointing.hits.items():
            print(f"  {method:<24} {hits:4} {hits / pointing.slices:6.1%}")
        print(
            f"  {'a random place':<24} {pointing.chance:4.0f} {pointing.chance / pointing.slices:6.1%}"
        )


if __name__ == "__main__":
    main()
