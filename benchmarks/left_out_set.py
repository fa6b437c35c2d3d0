"""The blood network on a hospital it has never seen: one of its sets is left out whole.

    python benchmarks/left_out_set.py SET WORK [PEER_MAPS]

Trains the network of the recipe ``blood`` on the other sets of artifacts/backbone/training.sets, and
prints its AUROC by slice on SET with a 95 % interval that resamples patient groups, and by patient
where SET has whole studies of both kinds. Patients of other sets who share pictures with SET are left
out too. WORK keeps the state of every epoch; started again, it goes on. 16 epochs take half an hour on
two cores.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hemodetect.dataset.cache import open_dataset
from hemodetect.dataset.joined import SET
from hemodetect.dataset.splits import Split
from hemodetect.evaluation.metrics import scores
from hemodetect.evaluation.table import area
from hemodetect.models.recipes import recipe_named
from hemodetect.preprocessing.head_position import FEWEST_SLICES
from hemodetect.registry.bundle import SPLIT
from hemodetect.settings import settings
from hemodetect.training.fitting import Run
from hemodetect.training.trainers import SliceTrainer


def main() -> None:
    left_out, work, *maps = sys.argv[1:]
    backbone = settings().artifacts / "backbone"
    dataset = open_dataset(backbone / "training.sets")
    split = Split.read(backbone / "blood" / SPLIT, dataset)
    table = dataset.slices
    tested = (table[SET] == left_out).to_numpy()
    if not tested.any() or tested.all():
        raise SystemExit(f"{left_out} is none of {', '.join(sorted(table[SET].unique()))}.")
    groups = table["patient"].map(split.groups)
    trained = ~groups.isin(groups[tested].unique()).to_numpy()
    recipe = recipe_named("cnn", "blood")
    trainer = SliceTrainer(dataset, split, recipe, Path(maps[0]) if maps else None)
    model = trainer.fit(trained, Run(Path(work), lambda line: print(line, flush=True))).model
    answers = trainer.predict(model, tested)
    answers = table.loc[tested, ["patient", "slice", "label"]].join(
        answers[["probability", "patient_probability"]]
    )
    by_slice = scores(answers, level="slice", threshold=0.5, groups=split.groups)
    print(f"{left_out}, left out: {by_slice.n:,} slices, AUROC by slice {area(by_slice.auroc)}")
    whole = answers[answers.groupby("patient")["label"].transform("size") >= FEWEST_SLICES]
    if whole.groupby("patient")["label"].max().nunique() == 2:
        by_patient = scores(whole, level="patient", threshold=0.5, groups=split.groups)
        print(f"{by_patient.n:,} patients, AUROC by patient {area(by_patient.auroc)}")


if __name__ == "__main__":
    main()
