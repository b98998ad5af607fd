"""Which plans can continue the same run: those that train alike."""

from __future__ import annotations

import hashlib
import json
import tomllib

AFTER_TRAINING = ("promote", "registry", "deploy", "rollout")
"""Sections of a recipe that no trained model depends on: they can be changed without training again."""

WITHOUT_EFFECT = ("checkpoint",)
"""Keys of `[search]` that no trained model depends on."""

ADDED = (("run", "processes", 1),)
"""Options that resolved recipes have only since some time, each with the value that means what was done before: runs without them go on."""


def plan_key(text: str) -> str:
    """A digest of everything in the resolved recipe that training depends on: plans with equal keys can continue the same run."""
    trained_by = {key: value for key, value in tomllib.loads(text).items() if key not in AFTER_TRAINING}
    for key in WITHOUT_EFFECT:
        trained_by.get("search", {}).pop(key, None)
    for section, key, before in ADDED:
        if trained_by.get(section, {}).get(key) == before:
            del trained_by[section][key]
    return hashlib.sha256(json.dumps(trained_by, sort_keys=True, default=str).encode()).hexdigest()
