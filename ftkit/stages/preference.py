"""The selection of a run whose recipe prefers cheap models: its finished models are compared, measured, and one is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import options
from ftkit.contracts import Backbone, Data, Trial
from ftkit.contracts.plan import Plan
from ftkit.contracts.preference import Alternative, Preference
from ftkit.contracts.settings import Prefer
from ftkit.evaluation import decisions, preference, selection
from ftkit.runs import preferred
from ftkit.runs.ledger import Ledger
from ftkit.runs.preparation import adapted_backbone
from ftkit.stages import model_costs

if TYPE_CHECKING:
    import numpy as np


def choose(plan: Plan, prefer: Prefer, ledger: Ledger, data: Data, trials: Sequence[Trial]) -> Preference:
    """The selection, from the journal if it is there; else it is made and written down. Raises: FtkitError."""
    if (earlier := preferred.read(ledger)) is not None:
        return earlier
    metric = plan.search.metric
    candidates = selection.candidates(plan.search, trials)
    probabilities = {each.number: _probabilities(ledger, each) for each in candidates}
    labels = decisions.targets(data.valid.labels, len(data.classes), data.task)
    best = probabilities[candidates[0].number]
    models = []
    for trial in candidates:
        folder = ledger.trial_folder(trial.number) / "model"
        own = probabilities[trial.number]
        if trial is not candidates[0] and (not folder.is_dir() or own is None or best is None):
            continue
        model = Alternative(
            trial.number,
            plan.drawn(trial.values)[0].name,
            trial.metrics[metric],
            size=model_costs.size(folder),
            parameters=model_costs.parameters(folder),
        )
        if trial is not candidates[0] and own is not None and best is not None:
            model = preference.compared(model, own, best, labels, metric, prefer.within, plan.seed)
        models.append(model)
    latencies = _latencies(plan, ledger, data, {trial.number: trial for trial in candidates}, models)
    models = [Alternative(**asdict(each) | {"latency_ms": latencies.get(each.number)}) for each in models]
    selected = preference.preferred(prefer, metric, len(data.valid), models)
    preferred.write(ledger, selected)
    return selected


def _latencies(
    plan: Plan, ledger: Ledger, data: Data, trials: Mapping[int, Trial], models: Sequence[Alternative]
) -> dict[int, float]:
    """Of the models that may be selected, and of the best one of each backbone."""
    leaders = {each.backbone: each.number for each in reversed(models)}
    measured: dict[int, tuple[Backbone, Path]] = {}
    for each in models:
        if not each.worse or leaders[each.backbone] == each.number:
            backbone, fields = plan.drawn(trials[each.number].values)
            changed: Any = options.changed(backbone, options.convert(type(backbone), fields, partial=True))
            measured[each.number] = adapted_backbone(changed, data), ledger.trial_folder(each.number) / "model"
    with model_costs.servable(plan.deploy, measured, ledger.folder) as loads:
        return model_costs.latencies(loads, model_costs.sample(data.valid.texts))


def _probabilities(ledger: Ledger, trial: Trial) -> np.ndarray | None:
    """Those of a trial's best evaluation, (validation rows, classes); None where they are gone."""
    import numpy as np

    path = ledger.trial_folder(trial.number) / "valid.npy"
    return np.load(path, allow_pickle=False) if path.is_file() else None
