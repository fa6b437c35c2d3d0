"""The search that the study gave up: C, gamma and kernel of the SVM, C of the logistic regression.

Every setting is fitted on each patient fold from one Gram matrix a fold. Which setting is best is
chosen for each fold by inner folds of its training patients alone (nested), on every third of their
slices; the figure of the chosen settings is therefore one on unseen patients, and the map of all
settings is to be looked at, not to be chosen from.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.splits import Split
from hemodetect.errors import HemodetectError
from hemodetect.evaluation import scores
from hemodetect.evaluation.metrics import Metric
from hemodetect.models.gram import PixelScale, gram_matrix, kernel_values, scale_gamma
from hemodetect.models.recipes import KernelRecipe, recipe_named
from hemodetect.storage.whole_file import whole_file
from hemodetect.training.jobs.processes import die_with
from hemodetect.training.logistic_training import row_space_fit

Report = Callable[[str], None]

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Values of C."""
GAMMAS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Of scikit-learn's "scale"."""
KERNELS = ("rbf", "poly", "linear")
_INNER_FOLDS = 4
_INNER_STRIDE = 3
_LOGISTIC_TOLERANCE = 1e-5
_CACHE_MB = 500


class SearchError(HemodetectError):
    """A search that cannot be run."""


@dataclass(frozen=True)
class Setting:
    """One point of the grid; gamma is in units of "scale", 1 where the kernel has none."""

    kernel: str
    penalty: float
    gamma: float = 1.0


@dataclass(frozen=True)
class Searched:
    """A setting's figures over all folds, on unseen patients."""

    setting: Setting
    auroc_slice: Metric
    auroc_patient: Metric


@dataclass(frozen=True)
class Search:
    """What a search found.

    Attributes:
        family: "svm" or "logistic".
        fingerprint: of the data set.
        grid: every setting.
        chosen: the setting that each fold's own training patients chose, in order of the folds.
        auroc_slice, auroc_patient: of the chosen settings' predictions.
        fits: models fitted, inner ones included.
        seconds: taken.
    """

    family: str
    fingerprint: str
    grid: tuple[Searched, ...]
    chosen: tuple[Setting, ...]
    auroc_slice: Metric
    auroc_patient: Metric
    fits: int
    seconds: float

    def write(self, path: Path) -> None:
        """Writes it as JSON, whole or not at all."""
        with whole_file(path) as partial_file:
            partial_file.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Search:
        """What `write` wrote; raises `SearchError` where the file holds something else."""

        def setting(raw: dict[str, Any]) -> Setting:
            return Setting(str(raw["kernel"]), float(raw["penalty"]), float(raw["gamma"]))

        def metric(raw: dict[str, Any]) -> Metric:
            return Metric(*(float(raw[name]) for name in ("value", "low", "high")))

        try:
            raw = json.loads(path.read_text())
            return cls(
                family=str(raw["family"]),
                fingerprint=str(raw["fingerprint"]),
                grid=tuple(
                    Searched(
                        setting(s["setting"]), metric(s["auroc_slice"]), metric(s["auroc_patient"])
                    )
                    for s in raw["grid"]
                ),
                chosen=tuple(setting(s) for s in raw["chosen"]),
                auroc_slice=metric(raw["auroc_slice"]),
                auroc_patient=metric(raw["auroc_patient"]),
                fits=int(raw["fits"]),
                seconds=float(raw["seconds"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SearchError(f"{path}: holds no search ({error}); run it again.") from error


def settings_of(family: str) -> tuple[Setting, ...]:
    """The grid of a family; raises `SearchError` where it has none."""
    if family == "logistic":
        return tuple(Setting("linear", c) for c in PENALTIES)
    if family != "svm":
        raise SearchError(f"{family}: only the SVM and the logistic regression have a grid.")
    curved = [Setting(k, c, g) for k, c, g in product(KERNELS[:2], PENALTIES, GAMMAS)]
    return (*curved, *(Setting("linear", c) for c in PENALTIES))


def search(
    dataset: Dataset,
    split: Split,
    family: str,
    *,
    grid: Sequence[Setting] | None = None,
    workers: int = 2,
    report: Report = print,
) -> Search:
    """Searches the grid of a family over the folds of a patient split.

    Args:
        dataset: of at least a few patients of each class in every fold's training part.
        split: a patient split; with the paper split the answer would be leakage.
        family: "svm" or "logistic".
        grid: settings; the family's own where not given.
        workers: folds worked on at once, a process each; each takes about 2 GB for 6,800 slices.
            Inside a Ray job (which has RAY_ADDRESS) the cluster works on as many as it has room for.
        report: takes a line of progress.

    Raises:
        SearchError: no grid, or another split.
    """
    if split.name != "patient":
        raise SearchError("A search needs a patient split: else it finds what remembers patients.")
    points = tuple(grid or settings_of(family))
    start = time.monotonic()
    work = partial(_searched_fold, dataset, split, family, points)
    numbers = range(len(split.folds))
    if "RAY_ADDRESS" in os.environ:
        parts = list(_counted(_on_cluster(work, numbers), len(numbers), report))
    elif workers > 1:
        with ProcessPoolExecutor(workers, initializer=die_with, initargs=(os.getpid(),)) as pool:
            parts = list(_counted(pool.map(work, numbers), len(numbers), report))
    else:
        parts = list(_counted(map(work, numbers), len(numbers), report))
    table = dataset.slices[["patient", "slice", "label"]].reset_index(drop=True)
    ranks, chosen_ranks = np.zeros((len(points), len(table))), np.zeros(len(table))
    for part in parts:
        ranks[:, part.rows] = part.ranks
        chosen_ranks[part.rows] = part.ranks[part.chosen]
    found = [judged_ranks(table, rank, split) for rank in ranks]
    by_slice, by_patient = judged_ranks(table, chosen_ranks, split)
    return Search(
        family=family,
        fingerprint=dataset.fingerprint,
        grid=tuple(Searched(p, *metrics) for p, metrics in zip(points, found, strict=True)),
        chosen=tuple(points[part.chosen] for part in parts),
        auroc_slice=by_slice,
        auroc_patient=by_patient,
        fits=len(parts) * len(points) * (1 + _INNER_FOLDS),
        seconds=round(time.monotonic() - start, 1),
    )


@dataclass(frozen=True, eq=False)
class _FoldSearch:
    """One fold: its test rows, (points, rows) ranks of their decision values in [0, 1], the choice."""

    rows: np.ndarray
    ranks: np.ndarray
    chosen: int


def _searched_fold(
    dataset: Dataset, split: Split, family: str, points: Sequence[Setting], number: int
) -> _FoldSearch:
    with threadpool_limits(1):
        test = split.test_mask(dataset.slices, number)
        grey = np.asarray(dataset.grey(recipe_named(family, "paper").size))
        pixel_scale = PixelScale.of(grey[~test])
        gram = gram_matrix(pixel_scale.standardised(grey))
        train_rows, test_rows = np.flatnonzero(~test), np.flatnonzero(test)
        gamma = scale_gamma(gram[np.ix_(train_rows, train_rows)], grey[0].size)
        labels = dataset.labels
        fit = partial(_decisions, family, gram, labels, gamma)
        groups = dataset.slices["patient"].map(split.groups).to_numpy()
        thinned = train_rows[::_INNER_STRIDE]
        inner = StratifiedGroupKFold(_INNER_FOLDS, shuffle=True, random_state=split.seed)
        worth = np.zeros(len(points))
        for train, held in inner.split(thinned, labels[thinned], groups[thinned]):
            for place, point in enumerate(points):
                told = fit(point, thinned[train], thinned[held])
                worth[place] += _patient_auroc(told, labels[thinned[held]], groups[thinned[held]])
        ranks = np.stack([own_ranks(fit(point, train_rows, test_rows)) for point in points])
    return _FoldSearch(test_rows, ranks, int(worth.argmax()))


def _decisions(
    family: str,
    gram: np.ndarray,
    labels: np.ndarray,
    gamma: float,
    point: Setting,
    train: np.ndarray,
    test: np.ndarray,
) -> np.ndarray:
    """Decision values of the test rows."""
    inner, across = gram[np.ix_(train, train)], gram[np.ix_(test, train)]
    if family == "logistic":
        recipe = KernelRecipe(
            "logistic", "search", kernel="linear", regularisation=point.penalty, max_iter=300
        )
        coefficients, intercept, _ = row_space_fit(
            inner, labels[train], recipe, _LOGISTIC_TOLERANCE
        )
        return across @ coefficients + intercept
    norms = np.diagonal(gram)
    kernel = partial(kernel_values, point.kernel, gamma=point.gamma * gamma)
    svm = SVC(C=point.penalty, kernel="precomputed", cache_size=_CACHE_MB, max_iter=200_000)
    svm.fit(kernel(inner=inner, norms_a=norms[train], norms_b=norms[train]), labels[train])
    return svm.decision_function(kernel(inner=across, norms_a=norms[test], norms_b=norms[train]))


def own_ranks(decisions: np.ndarray) -> np.ndarray:
    """Ranks in [0, 1] of one fold's test slices, (n,): values of unlike settings and folds have no
    common scale.
    """
    return (rankdata(decisions) - 1) / max(len(decisions) - 1, 1)


def _patient_auroc(decisions: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> float:
    """AUROC of the patient groups' mean ranks; 0.5 where there is one class only."""
    table = pd.DataFrame({"g": groups, "y": labels, "d": own_ranks(decisions)})
    means = table.groupby("g").agg(y=("y", "max"), d=("d", "mean"))
    return float(roc_auc_score(means["y"], means["d"])) if means["y"].nunique() == 2 else 0.5


def judged_ranks(table: pd.DataFrame, ranks: np.ndarray, split: Split) -> tuple[Metric, Metric]:
    """AUROC by slice and by patient of (n,) `own_ranks` of the folds' test slices."""
    predictions = table.assign(probability=ranks.astype(np.float32))
    by_slice, by_patient = (
        scores(predictions, level=level, groups=split.groups, resamples=1000).auroc
        for level in ("slice", "patient")
    )
    return by_slice, by_patient


def _on_cluster(work: Callable[[int], _FoldSearch], numbers: Sequence[int]) -> list[_FoldSearch]:
    import ray
    from joblib import Parallel, delayed, parallel_config
    from ray.util.joblib import register_ray

    ray.init(log_to_driver=False)
    register_ray()
    room = min(len(numbers), int(ray.cluster_resources().get("CPU", 1)))
    with parallel_config("ray", n_jobs=room):
        return list(Parallel()(delayed(work)(number) for number in numbers))


def _counted(parts: Iterable[_FoldSearch], total: int, report: Report) -> Iterator[_FoldSearch]:
    for done, part in enumerate(parts, start=1):
        report(f"fold {done} of {total} searched")
        yield part
