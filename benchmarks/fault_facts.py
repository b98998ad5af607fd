"""All that is compared at the end of a run that was killed: what it has come to, and what is left of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks.fault_clients import Clients
from benchmarks.fault_scenes import Stage

TEXTS = ("broke cheap refund noisy", "sturdy bright easy perfect", "the lamp is late and bright", "")
"""Texts that the endpoint must answer as that of the undisturbed run did."""
SETTLES = 60.0
"""Seconds that processes may take to end after the command has: those of a client that was killed notice it by themselves."""


@dataclass(frozen=True)
class Facts:
    """What a run has come to; equal for a run that was killed and one that was not."""

    winner: Any
    """The selected trial, and all trials with their values, seeds and evaluations."""
    weights: Mapping[str, str]
    """SHA-256 of each file of the model."""
    registered: Any
    """Versions and aliases, and the runs that the registry tracks."""
    endpoint: Any
    """Deployments with their traffic, and the answers to `TEXTS`."""
    processes: Mapping[str, int]
    """How many of each role are left."""
    files: Mapping[str, int]
    """Every file and folder that is left, with the names that differ from run to run made equal."""


def facts(stage: Stage, clients: Clients) -> Facts:
    """What the last command has left, once the processes that are to end have ended."""
    processes = _settled(stage, clients)
    run = max((stage.now / "home" / "runs").iterdir(), key=lambda path: path.name)
    bundle = hashlib.sha256((run / "bundle" / "manifest.json").read_bytes()).hexdigest()
    endpoint = _endpoint(stage, bundle) if "[deploy]" in stage.scene.recipe else None
    registered = _registered(stage, bundle) if "[registry]" in stage.scene.recipe else None
    return Facts(_winner(run), _hashes(run / "bundle" / "model"), registered, endpoint, processes, _files(stage.now))


def _settled(stage: Stage, clients: Clients) -> dict[str, int]:
    ends = time.monotonic() + SETTLES
    while (there := dict(Counter(clients.family.processes().values()))) != stage.scene.left:
        if time.monotonic() > ends:
            break
        time.sleep(0.1)
    return there


def _endpoint(stage: Stage, bundle: str) -> Any:
    """Traffic, state and bundle of each deployment, and the answers; a sentence where there are none."""
    from ftkit_local.deployer import LocalDeployer

    from ftkit.errors import FtkitError

    os.environ["FTKIT_HOME"] = str(stage.now / "home")
    deployer = LocalDeployer(endpoint="faults")
    ends = time.monotonic() + SETTLES  # a server that was killed is started again in a moment
    while True:
        try:
            described = deployer.describe()
            deployments = described.deployments if described else ()
            there = [(each.traffic, each.state, each.bundle_hash == bundle) for each in deployments]
            request = {"data": [{"text": text} for text in TEXTS], "scores": True}
            answer: Any = (there, deployer.invoke(request))
            if all(state == "ready" for _, state, _ in there):
                return answer
        except FtkitError as error:
            answer = f"it does not answer: {error.what}"
        if time.monotonic() > ends:
            return answer
        time.sleep(0.1)


def _registered(stage: Stage, bundle: str) -> Any:
    """Which versions have this bundle, who has an alias, and the runs that are tracked."""
    with sqlite3.connect(f"file:{stage.now / 'home' / 'mlflow.db'}?mode=ro", uri=True) as database:

        def ask(query: str) -> list[Any]:
            return database.execute(query).fetchall()

        hashes = ask("select version, value from model_version_tags where key = 'ftkit.bundle' order by version")
        names = ask("select name, status from runs")
        return {
            "versions": [(version, value == bundle) for version, value in hashes],
            "aliases": sorted(ask("select alias, version from registered_model_aliases")),
            "runs": dict(Counter(f"{_alike(name)} {status}" for name, status in names)),
        }


def _files(now: Path) -> dict[str, int]:
    names = (_alike(path.relative_to(now).as_posix()) for path in now.rglob("*"))
    return dict(Counter(name for name in names if not re.search(_KEPT, name)))


def _alike(name: str) -> str:
    for pattern, word in _DIFFERING:
        name = re.sub(pattern, word, name)
    return name


_DIFFERING = (
    (r"faults-\d{8}-\d{6}(-\d+)?", "RUN"),
    (r"v(\d+)-\d{8}-\d{6}", r"v\1-TIME"),
    (r"d-\d{8}-\d{6}", r"d-TIME"),
    (r"[0-9a-f]{32}", "ID"),
    (r"model-[0-9a-f]{12}", "model-ID"),
    (r"\d+\.sock", "N.sock"),
)
_KEPT = r"tests\.log$|/failures|/\.watch\.lock$|^user/\.(cache|config)"
"""What a run that was disturbed keeps on purpose: why a promotion test broke off. And what is made when it is missed first."""


def _winner(run: Path) -> Any:
    from ftkit.runs.ledger import Ledger

    ledger = Ledger(run)
    selected = ledger.fact("selected") or {"number": None}
    trials = {}
    for trial in ledger.trials():
        history = [{name: value for name, value in each.items() if "second" not in name} for each in trial.history]
        trials[f"trial {trial.number}"] = (trial.values, trial.seed, trial.state, history)
    return {"selected": selected["number"], **json.loads(json.dumps(trials, default=dict))}


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def differences(expected: Facts, there: Facts) -> list[str]:
    """How two runs differ, a sentence each."""
    sentences = []
    for each in fields(Facts):
        one, other = getattr(expected, each.name), getattr(there, each.name)
        if one == other:
            continue
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            keys = sorted(key for key in {*one, *other} if one.get(key) != other.get(key))
            changed = ", ".join(f"{key}: {_short(one.get(key))} became {_short(other.get(key))}" for key in keys[:6])
            sentences.append(f"{each.name}: {changed}" + (f" and {len(keys) - 6} more" if len(keys) > 6 else ""))
        else:
            sentences.append(f"{each.name}: {_short(one)} became {_short(other)}")
    return sentences


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 300 else text[:300] + "…"
