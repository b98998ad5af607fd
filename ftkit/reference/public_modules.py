"""Which modules of ftkit are public: docs/public.md lists them, and a plugin that keeps to them works with every ftkit of its API number."""

from __future__ import annotations

from collections.abc import Mapping

STEADY: Mapping[str, tuple[str, ...]] = {
    "ftkit": (),
    "ftkit.contracts": (),
    "ftkit.encoders": (),
    "ftkit.errors": (),
    "ftkit.events": (),
    "ftkit.testing.backbones": ("BackboneSuite", "separable_data", "tiny_bert"),
    "ftkit.testing.bundles": ("toy_bundle",),
    "ftkit.testing.datasets": ("DatasetSuite",),
    "ftkit.testing.deployers": ("DeployerSuite",),
    "ftkit.testing.engines": ("EngineSuite",),
    "ftkit.testing.observers": ("ObserverSuite", "sample_run"),
    "ftkit.testing.platforms": ("PlatformSuite",),
    "ftkit.testing.promotion_presets": ("PromotionPresetSuite",),
    "ftkit.testing.promotion_tests": ("PromotionTestSuite", "make_contender", "make_data", "with_column"),
    "ftkit.testing.registries": ("RegistrySuite", "make_lineage"),
    "ftkit.testing.search_spaces": ("SearchSpaceSuite",),
    "ftkit.testing.toys": ("install",),
    "ftkit.testing.watchers": ("WatcherSuite", "sample_requests", "sample_served"),
}
"""Modules for every plugin, each with its public names; without names, those of its `__all__`, or all that have no underscore."""

BY_KIND: Mapping[str, tuple[str, ...]] = {
    "ftkit.bundle.bundle": ("Bundle", "cleared", "verify"),
    "ftkit.bundle.promotion_record": ("PromotionRecord", "judged"),
    "ftkit.contracts.events": (),
    "ftkit.contracts.monitoring": ("Profile", "Served", "ServedRequest", "Watcher"),
    "ftkit.contracts.plan": ("Plan",),
    "ftkit.contracts.policies": (),
    "ftkit.contracts.settings": ("Confirm", "Prefer", "Rollout", "Search"),
    "ftkit.contracts.space": ("Choice", "Dimension", "Int", "LogUniform", "Uniform"),
    "ftkit.data.other_columns": ("OtherColumns",),
    "ftkit.data.rows": ("Rows", "check_limit", "lines", "together"),
    "ftkit.data.rules": ("Rules",),
    "ftkit.data.splits": ("Rules", "fingerprint", "join", "split"),
    "ftkit.encoders.inspection": ("inspect_texts",),
    "ftkit.evaluation.charts": ("BAD", "CALM", "GOOD", "stacked", "svg"),
    "ftkit.evaluation.metrics": ("better", "interval", "score"),
    "ftkit.evaluation.promotion_tests": ("BeatsChampion", "BeatsMajority", "MetricFloor"),
    "ftkit.evaluation.selection": ("best_trial", "planned_repeats", "trials_to_keep"),
    "ftkit.files": ("atomic_folder", "cache", "home", "sha256", "write_json", "write_text"),
    "ftkit.options": ("FolderOrId", "Mistake"),
    "ftkit.plugins": ("Plugins", "collect", "load"),
    "ftkit.redaction": ("redacted",),
    "ftkit.remote": (),
    "ftkit.runner": ("carry_out",),
    "ftkit.runs.ledger": ("Ledger",),
    "ftkit.searching": (),
    "ftkit.serving.endpoint_files": ("check_name", "make_key", "read_key", "store_bundle"),
    "ftkit.serving.http_client": ("PIN", "invoke"),
    "ftkit.serving.limits": ("Limits",),
    "ftkit.serving.model_host": ("ModelHost", "Status"),
    "ftkit.serving.server": ("command", "death", "environment", "short_folder"),
    "ftkit.stages.trial": ("Answer", "fit"),
}
"""Modules for plugins of some kinds."""
