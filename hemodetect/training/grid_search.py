"""Grid search: C, gamma and kernel of the SVM, C of the logistic regression.

The study did not complete this search.

Every setting is fitted in each patient fold; a fold needs one Gram matrix. Each fold chooses its best
setting by inner folds of its training patients (nested), on every third of their slices. So the
figures of the chosen settings are those of unseen patients. The grid itself shows all settings on the
test patients: choosing the best point of it would overestimate.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.splits import Split
from hemodetect.evaluation import scores
from hemodetect.evaluation.metrics import Metric
from hemodetect.models.gram import PixelScale, gram_matrix, kernel_values, scale_gamma
from hemodetect.models.recipes import KernelRecipe, recipe_named
from hemodetect.training.jobs.processes import die_with
from hemodetect.training.logistic_training import row_space_fit
from hemodetect.training.progress_events import report_progress
from hemodetect.training.search_results import GridPoint, GridSearch, KernelSetting, SearchError

Report = Callable[[str], None]

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Values of C."""
GAMMAS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""In units of scikit-learn's "scale"."""
KERNELS = ("rbf", "poly", "linear")
_INNER_FOLDS = 4
_INNER_STRIDE = 3
_LOGISTIC_TOLERANCE = 1e-5
_CACHE_MB = 500


def grid_of(family: str) -> tuple[KernelSetting, ...]:
    """The grid of a family; raises `SearchError` where it has none."""
    if family == "logistic":
        return tuple(KernelSetting("linear", c) for c in PENALTIES)
    if family != "svm":
        raise SearchError(f"{family}: only the SVM and the logistic regression have a grid.")
    with_gamma = [KernelSetting(k, c, g) for k, c, g in product(KERNELS[:2], PENALTIES, GAMMAS)]
    return (*with_gamma, *(KernelSetting("linear", c) for c in PENALTIES))


def search(
    dataset: Dataset,
    split: Split,
    family: str,
    *,
    grid: Sequence[KernelSetting] | None = None,
    workers: int = 2,
    report: Report = print,
) -> GridSearch:
    """Searches the grid of a family over the folds of a patient split.

    Args:
        dataset: with a few patients of each class among every fold's training patients.
        split: a patient split; the paper split would measure leakage.
        family: "svm" or "logistic".
        grid: settings to fit; `grid_of(family)` by default.
        workers: number of processes, one a fold; each takes about 2 GB for 6,800 slices. Inside a Ray
            job (where RAY_ADDRESS is set) the number depends on the processors of the cluster.
        report: takes a line of progress.

    Raises:
        SearchError: the family has no grid, or the split is no patient split.
    """
    if split.name != "patient":
        raise SearchError(
            "A search needs a patient split: with another it prefers models that memorise patients."
        )
    points = tuple(grid or grid_of(family))
    start = time.monotonic()
    work = partial(_search_fold, dataset, split, family, points)
    numbers = range(len(split.folds))
    if "RAY_ADDRESS" in os.environ:
        parts = list(_reporting(_on_cluster(work, numbers), len(numbers), report))
    elif workers > 1:
        with ProcessPoolExecutor(workers, initializer=die_with, initargs=(os.getpid(),)) as pool:
            parts = list(_reporting(pool.map(work, numbers), len(numbers), report))
    else:
        parts = list(_reporting(map(work, numbers), len(numbers), report))
    table = dataset.slices[["patient", "slice", "label"]].reset_index(drop=True)
    ranks, chosen_ranks = np.zeros((len(points), len(table))), np.zeros(len(table))
    for part in parts:
        ranks[:, part.rows] = part.ranks
        chosen_ranks[part.rows] = part.ranks[part.chosen]
    aurocs = [rank_aurocs(table, rank, split) for rank in ranks]
    by_slice, by_patient = rank_aurocs(table, chosen_ranks, split)
    return GridSearch(
        family=family,
        fingerprint=dataset.fingerprint,
        grid=tuple(GridPoint(p, *metrics) for p, metrics in zip(points, aurocs, strict=True)),
        chosen=tuple(points[part.chosen] for part in parts),
        auroc_slice=by_slice,
        auroc_patient=by_patient,
        fits=len(parts) * len(points) * (1 + _INNER_FOLDS),
        seconds=round(time.monotonic() - start, 1),
    )


@dataclass(frozen=True, eq=False)
class _FoldSearch:
    """The search in one fold.

    Attributes:
        rows: (n,) int, its test slices.
        ranks: (points, n) float in [0, 1], of the decision values of every setting.
        chosen: index of the best setting by the inner folds.
    """

    rows: np.ndarray
    ranks: np.ndarray
    chosen: int


def _search_fold(
    dataset: Dataset, split: Split, family: str, points: Sequence[KernelSetting], number: int
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
        auroc_sums = np.zeros(len(points))
        for train, validation in inner.split(thinned, labels[thinned], groups[thinned]):
            rows = thinned[validation]
            for place, point in enumerate(points):
                decisions = fit(point, thinned[train], rows)
                auroc_sums[place] += _patient_auroc(decisions, labels[rows], groups[rows])
        ranks = np.stack([fold_ranks(fit(point, train_rows, test_rows)) for point in points])
    return _FoldSearch(test_rows, ranks, int(auroc_sums.argmax()))


def _decisions(
    family: str,
    gram: np.ndarray,
    labels: np.ndarray,
    gamma: float,
    point: KernelSetting,
    train: np.ndarray,
    test: np.ndarray,
) -> np.ndarray:
    """(n,) decision values of the test rows; labels (slices,), gram (slices, slices)."""
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


def fold_ranks(decisions: np.ndarray) -> np.ndarray:
    """(n,) ranks in [0, 1] of the decision values of one fold's test slices.

    Decision values of different settings and folds have no common scale; their ranks have.
    """
    return (rankdata(decisions) - 1) / max(len(decisions) - 1, 1)


def _patient_auroc(decisions: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> float:
    """AUROC of the patient groups' mean ranks; 0.5 where there is one class only."""
    table = pd.DataFrame({"g": groups, "y": labels, "d": fold_ranks(decisions)})
    means = table.groupby("g").agg(y=("y", "max"), d=("d", "mean"))
    return float(roc_auc_score(means["y"], means["d"])) if means["y"].nunique() == 2 else 0.5


def rank_aurocs(table: pd.DataFrame, ranks: np.ndarray, split: Split) -> tuple[Metric, Metric]:
    """AUROC by slice and by patient of (n,) `fold_ranks` of all folds."""
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
    workers = min(len(numbers), int(ray.cluster_resources().get("CPU", 1)))
    with parallel_config("ray", n_jobs=workers):
        return list(Parallel()(delayed(work)(number) for number in numbers))


def _reporting(parts: Iterable[_FoldSearch], total: int, report: Report) -> Iterator[_FoldSearch]:
    report_progress(fold=0, folds=total)
    for done, part in enumerate(parts, start=1):
        report(f"fold {done} of {total} searched")
        report_progress(fold=done, folds=total)
        yield part
