"""What is no longer as it was when an interrupted run began: told before the run goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ftkit import plugins
from ftkit.contracts.plan import Plan
from ftkit.runs import ledger as ledgers
from ftkit.runs import plan_keys, provenance, source_files, status
from ftkit.runs.ledger import Ledger

_MACHINE = {"python": "Python", "processor": "the processor", "bf16_units": "the bf16 units", "gpus": "the GPUs"}
"""What training's rounding depends on, beside the software's versions."""


def changes(ledger: Ledger) -> list[str]:
    """The changed files, software and machine of a run that goes on, a sentence each; of an old journal as far as it says."""
    sentences = [
        f"{change}; the run goes on with what it took. --fresh starts a new run with what is there now."
        for change in source_files.changes(ledger)
    ]
    if ledger.unreadable:
        lines = f"{ledger.unreadable:,} line{'s' * (ledger.unreadable > 1)}"
        sentences.append(
            f"{lines} of {ledger.folder / 'journal.jsonl'} cannot be read; what was recorded there is done again."
        )
    before = ledger.fact("environment")
    differences = _differences(before, provenance.described(), _distributions(ledger)) if before else ()
    if not (parts := ", ".join(differences)):
        return sentences
    sentence = f"The run began with {parts}: results of its trials may differ for that alone. --fresh starts a new run."
    return [*sentences, sentence]


def passed_over(plan: Plan, begun: Ledger) -> str:
    """A sentence about an interrupted run of the same name by another recipe, which a new run leaves behind; or nothing."""
    earlier = next((each for each in ledgers.runs() if each.run != begun.run), None)
    if earlier is None or not earlier.trials() or status.state(earlier) not in ("interrupted", "failed"):
        return ""
    if (earlier.fact("started") or {}).get("name") != plan.name:
        return ""
    keys = _differing(earlier.recipe_values, begun.recipe_values)
    return (
        f"{earlier.run} was interrupted and does not go on, because the recipe differs in {', '.join(keys[:5])}"
        + (f" and {len(keys) - 5:,} more" if len(keys) > 5 else "")
        + f"; `ftkit run --resume {earlier.run}` goes on with it."
        if keys
        else ""
    )


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], distributions: set[str]) -> Iterator[str]:
    for key, name in _MACHINE.items():
        if key in before and before[key] != now[key]:
            yield f"{name} {_text(before[key])}, now {_text(now[key])}"
    for name, version in before.get("versions", {}).items():
        if name in distributions and now["versions"].get(name) != version:
            yield f"{name} {version}, now {now['versions'].get(name, 'none')}"


def _distributions(ledger: Ledger) -> set[str]:
    """What a run's results depend on: ftkit, the plugins of its data set and backbone, and the libraries below."""
    recipe = ledger.recipe_values
    uses = {("datasets", recipe.get("dataset", {}).get("use"))}
    uses |= {("backbones", name) for name in status.backbones(ledger)}
    owners = {each.plugin.split(" ")[0] for each in plugins.load().offers if (each.kind, each.name) in uses}
    return {"ftkit", *provenance.MATTER, *owners}


def _text(value: Any) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The dotted keys in which two recipes differ, as far as training depends on them."""
    keys: list[str] = []
    for key in dict.fromkeys((*one, *other)):
        if prefix == "" and key in plan_keys.AFTER_TRAINING:
            continue
        left, right = one.get(key), other.get(key)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            keys += _differing(left, right, f"{prefix}{key}.")
        elif left != right:
            keys.append(f"{prefix}{key}")
    return keys
