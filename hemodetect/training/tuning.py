"""Tuning of a network: learning rate, dropout, L2 and depth, over patient folds, nested.

In each fold Optuna tries settings on the training patients alone. A network is fitted to most of them;
its AUROC on the rest (`inner_validation`), at the epoch with the lowest validation loss, ranks the
trial. Trials below the median of the earlier ones are pruned (`MedianPruner`; Golovin et al. 2017,
Google Vizier, section 3.2). The published setting is always the first trial. The network of the best
trial predicts the test patients of the fold, so the figures come from patients that took no part in
the choice.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path

import keras
import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from hemodetect.dataset.cache import Dataset
from hemodetect.dataset.splits import Split, inner_validation
from hemodetect.models.network_model import NetworkModel
from hemodetect.models.recipes import DEPTHS, NetworkRecipe
from hemodetect.registry.bundle import AUROC
from hemodetect.storage.whole_file import whole_file
from hemodetect.training.fitting import Run, TrainingSet
from hemodetect.training.grid_search import fold_ranks, rank_aurocs
from hemodetect.training.network_training import TrainingDiverged, fit_network
from hemodetect.training.plan import TUNED
from hemodetect.training.progress_events import report_progress
from hemodetect.training.search_results import SearchError, Trial, Tuning
from hemodetect.training.train import claim
from hemodetect.training.trainers import training_set

LEARNING_RATES = (1e-4, 1e-2)
DROPOUTS = (0.0, 0.6)
PENALTIES = (1e-6, 1e-1)
"""Of L2. A recipe that has none is tried with none in the first trial alone."""
_TRIALS_BEFORE_PRUNING = 4
_EPOCHS_BEFORE_PRUNING = 3


def tune(
    dataset: Dataset,
    split: Split,
    recipe: NetworkRecipe,
    run: Run,
    *,
    trials: int,
) -> Tuning:
    """Tunes a network in each fold of a patient split; continues where an earlier call was interrupted.

    Args:
        dataset: with both classes among every fold's training patients.
        split: a patient split; the paper split would measure leakage.
        recipe: the published setting.
        run: its work folder holds the state; an interrupted trial continues from its last epoch.
        trials: number of settings tried in each fold.

    Raises:
        SearchError: another split, or no setting could be trained.
        BundleError: the work folder holds another tuning.
    """
    if split.name != "patient":
        raise SearchError(
            "A search needs a patient split: with another it prefers models that memorise patients."
        )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    claim(run, dataset, split, recipe)
    clock = _Clock(run.work / "seconds.txt")
    folds = []
    for number in range(len(split.folds)):
        fold = _Fold(dataset, split, recipe, run, number)
        fold.search(trials, clock)
        folds.append(fold)
    table = dataset.slices[["patient", "slice", "label"]].reset_index(drop=True)
    ranks = {name: np.zeros(len(table)) for name in ("published", "tuned")}
    results: list[Trial] = []
    chosen = []
    for fold in folds:
        ended, published, best = fold.ended(), fold.published(), fold.best()
        ranks["published"][fold.test] = fold_ranks(fold.test_probabilities(published))
        ranks["tuned"][fold.test] = fold_ranks(fold.test_probabilities(best))
        chosen.append(len(results) + [trial.number for trial in ended].index(best.number))
        results += [fold.result_of(trial) for trial in ended]
    as_published, as_tuned = (rank_aurocs(table, ranks[name], split) for name in ranks)
    return Tuning(
        family=recipe.family,
        recipe=recipe.name,
        fingerprint=dataset.fingerprint,
        epochs=run.epochs or recipe.epochs,
        trials=tuple(results),
        chosen=tuple(chosen),
        published_slice=as_published[0],
        published_patient=as_published[1],
        tuned_slice=as_tuned[0],
        tuned_patient=as_tuned[1],
        seconds=clock.spent(),
    )


class _Clock:
    """Seconds spent over all runs, kept in a file."""

    def __init__(self, file: Path) -> None:
        self._file, self._start = file, time.monotonic()
        self._earlier_seconds = float(file.read_text()) if file.is_file() else 0.0

    def spent(self) -> float:
        """Seconds so far; stores them in the file."""
        spent = self._earlier_seconds + time.monotonic() - self._start
        with whole_file(self._file) as partial:
            partial.write_text(f"{spent:.1f}")
        return round(spent, 1)


class _Fold:
    """The trials of one fold; its test patients are predicted and take no part in the choice."""

    def __init__(
        self, dataset: Dataset, split: Split, recipe: NetworkRecipe, run: Run, number: int
    ) -> None:
        self._recipe, self._number, self._folds = recipe, number, len(split.folds)
        self._run = replace(run, seed=run.seed + number, work=run.work / f"fold-{number}")
        self._run.work.mkdir(parents=True, exist_ok=True)
        self._dataset, self._split = dataset, split
        self.test = split.test_mask(dataset.slices, number)
        journal = JournalFileBackend(str(self._run.work / "trials.journal"))
        self._study = optuna.create_study(
            storage=JournalStorage(journal),
            study_name="fold",
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(_TRIALS_BEFORE_PRUNING, _EPOCHS_BEFORE_PRUNING),
            load_if_exists=True,
        )
        # A new seed after a resume: with the same seed it would draw the same settings again.
        trials_before = len(self._study.get_trials(deepcopy=False))
        self._study.sampler = optuna.samplers.TPESampler(seed=self._run.seed + trials_before)

    def search(self, trials: int, clock: _Clock) -> None:
        """Tries settings until `trials` have been tried in this fold."""
        self._requeue()
        self._report_trials(trials)
        if len(self.ended()) >= trials:
            return
        training = training_set(self._dataset, self._split, self._recipe, ~self.test)
        validation = inner_validation(
            training.slices, training.groups, self._recipe.validation_share, self._run.seed
        )
        while (done := len(self.ended())) < trials:
            self._try(training, validation)
            clock.spent()
            self._run.report(
                f"fold {self._number + 1} of {self._folds}: {done + 1} of {trials} trials searched"
            )
            self._report_trials(trials)

    def _report_trials(self, trials: int) -> None:
        report_progress(
            fold=self._number, folds=self._folds, trial=len(self.ended()), trials=trials
        )

    def published(self) -> FrozenTrial:
        """The trial of the published setting."""
        for trial in self.ended():
            if trial.user_attrs.get("published") and trial.state == TrialState.COMPLETE:
                return trial
        raise SearchError(
            f"Fold {self._number + 1}: the published setting cannot be trained on this data."
        )

    def best(self) -> FrozenTrial:
        """The trial with the highest AUROC, the first of several."""
        complete = [trial for trial in self.ended() if trial.state == TrialState.COMPLETE]
        return max(complete, key=lambda trial: trial.value or 0.0)

    def test_probabilities(self, trial: FrozenTrial) -> np.ndarray:
        """(n,) float32 probabilities of a trial's network for the test slices."""
        return np.load(self._file(trial.number), allow_pickle=False)

    def ended(self) -> list[FrozenTrial]:
        """Trials with a result, oldest first; without those that a kill interrupted."""
        return [
            trial
            for trial in self._study.get_trials(deepcopy=False)
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
            or trial.user_attrs.get("diverged")
        ]

    def result_of(self, trial: FrozenTrial) -> Trial:
        """A trial as it stands in the results."""
        setting = dict(trial.params)
        if trial.user_attrs.get("published"):
            setting = {name: getattr(self._recipe, name) for name in TUNED}
        aurocs = trial.intermediate_values  # by epoch
        return Trial(
            fold=self._number,
            auroc=trial.value if trial.value is not None else aurocs.get(max(aurocs, default=0)),
            epochs=int(trial.user_attrs.get("epochs", len(aurocs))),
            pruned=trial.state == TrialState.PRUNED,
            **setting,
        )

    def _requeue(self) -> None:
        """Queues the published setting first, and again a trial that a kill interrupted."""
        interrupted = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for trial in interrupted:
            setting = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
            # Queued before it is marked as failed: a kill in between must not lose it.
            self._study.enqueue_trial(setting, user_attrs=dict(trial.user_attrs))
            self._study.tell(trial.number, state=TrialState.FAIL)
        if not self._study.get_trials(deepcopy=False):
            first = {name: getattr(self._recipe, name) for name in TUNED}
            # The range of L2 has no zero.
            first["l2"] = max(first["l2"], PENALTIES[0])
            self._study.enqueue_trial(first, user_attrs={"published": True})

    def _try(self, training: TrainingSet, validation: np.ndarray) -> None:
        trial = self._study.ask()
        recipe = replace(
            self._recipe,
            learning_rate=trial.suggest_float("learning_rate", *LEARNING_RATES, log=True),
            dropout=trial.suggest_float("dropout", *DROPOUTS),
            l2=trial.suggest_float("l2", *PENALTIES, log=True),
            depth=trial.suggest_int("depth", *DEPTHS[self._recipe.family]),
        )
        published = bool(trial.user_attrs.get("published"))
        if published:
            recipe = self._recipe
        work = self._run.work / f"trial-{_digest(recipe)}"

        def report_epoch(epoch: int, figures: dict[str, float]) -> None:
            trial.report(figures[f"val_{AUROC}"], epoch)
            if not published and trial.should_prune():
                raise optuna.TrialPruned

        try:
            model, history = fit_network(
                recipe,
                training.grey,
                training.labels,
                validation,
                epochs=self._run.epochs or recipe.epochs,
                seed=self._run.seed,
                work=work,
                report=report_epoch,
                parallel=self._run.parallel,
            )
        except optuna.TrialPruned:
            self._study.tell(trial, state=TrialState.PRUNED)
        except TrainingDiverged:
            trial.set_user_attr("diverged", True)
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            best_epoch = int(history["val_loss"].argmin())
            tested = self._dataset.grey(recipe.size)[self.test]
            with whole_file(self._file(trial.number)) as partial:
                np.save(partial, NetworkModel(model).probabilities(np.asarray(tested)))
            trial.set_user_attr("epochs", len(history))
            self._study.tell(trial, float(history[f"val_{AUROC}"].to_numpy()[best_epoch]))
        shutil.rmtree(work, ignore_errors=True)
        keras.utils.clear_session()  # or each trial's graph stays in memory

    def _file(self, number: int) -> Path:
        return self._run.work / f"answers-{number}.npy"


def _digest(recipe: NetworkRecipe) -> str:
    """Names the folder of a setting's training, the same again after a kill."""
    return hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode()).hexdigest()[:12]
