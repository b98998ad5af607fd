"""Which plans can continue the same run: those that train alike."""

from __future__ import annotations

import hashlib
import json
import tomllib
from typing import Any

AFTER_TRAINING = ("promote", "registry", "deploy", "rollout")
"""Sections of a recipe that no trained model depends on: they can be changed without training again."""

WITHOUT_EFFECT = (("search", "checkpoint"), ("run", "plugins"))
"""Keys that no trained model depends on, each with its section."""

ADDED: tuple[tuple[str, str, Any], ...] = (
    ("run", "processes", 1),
    ("backbone", "licences", []),
    ("backbone", "schedule", "linear"),
    ("backbone", "layer_decay", 1.0),
    ("backbone", "loss", "cross-entropy"),
    ("backbone", "focal_gamma", 2.0),
    ("backbone", "label_smoothing", 0.0),
    ("backbone", "tuning", "full"),
    ("backbone", "lora_rank", 8),
    ("backbone", "lora_alpha", 16),
    ("backbone", "lora_dropout", 0.0),
    ("backbone", "lora_modules", []),
    ("backbone", "gradient_checkpointing", False),
    ("backbone", "evaluate_every", 1.0),
    ("backbone", "long_texts", "head"),
    ("backbone", "window_pooling", "mean"),
    ("backbone", "distillation_weight", 0.5),
    ("backbone", "distillation_temperature", 2.0),
    ("backbone", "unlabelled_text", ["text"]),
    ("dataset", "task", "single-label"),
    ("dataset", "separator", "auto"),
    ("dataset", "join", "lines"),
    ("dataset", "time", ""),
)
"""Options that resolved recipes have only since some time, each with the value that means what was done before: runs without them go on."""

ADDED_TO: tuple[tuple[str, str, str, Any], ...] = (("dataset", "amazon-ucsd", "group", ""),)
"""The same for options that only one component has since some time, by its name."""


def plan_key(text: str) -> str:
    """A digest of everything in the resolved recipe that training depends on: plans with equal keys can continue the same run."""
    trained_by = {key: value for key, value in tomllib.loads(text).items() if key not in AFTER_TRAINING}
    for section, key in WITHOUT_EFFECT:
        trained_by.get(section, {}).pop(key, None)
    several = trained_by.get("backbone", {}) if "use" not in trained_by.get("backbone", {}) else {}
    if decision := trained_by.pop("decision", None):
        # Of it, a training depends only on whether validation rows are kept back.
        trained_by |= {"decision": "promised"} if "risk" in decision.get("abstain", {}) else {}
    for section, key, before in ADDED:
        for table in (trained_by.get(section, {}), *(several.values() if section == "backbone" else ())):
            if table.get(key) == before:
                del table[key]
    for section, component, key, before in ADDED_TO:
        options = trained_by.get(section, {})
        if options.get("use") == component and options.get(key) == before:
            del options[key]
    return hashlib.sha256(json.dumps(trained_by, sort_keys=True, default=str).encode()).hexdigest()
