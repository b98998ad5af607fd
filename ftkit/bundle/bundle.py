"""A trained model on disk: written whole, verified by hash, loaded by the backbone that made it.

    BUNDLE/
      manifest.json         classes, backbone, lineage, and the SHA-256 of every other file
      model/                what the backbone's classifier saved: safetensors, configuration, tokenizer
      recipe.toml           the resolved recipe
      sample_request.json   a request that must be answered: the smoke test of every deployment
      README.md             the model card
      promotion.json        the promotion record, once the bundle was tested

The hash of `manifest.json` identifies the bundle; it covers every file but the promotion record, which has a digest of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ftkit import files, options, pairs, plugins, strict_json
from ftkit.bundle import answers, contents
from ftkit.bundle import manifest as manifests
from ftkit.bundle import promotion_record as records
from ftkit.bundle.promotion_record import PromotionRecord
from ftkit.contracts import AUTO, NATIVE, AnswerRule, Backbone, Classifier, Exporting, Probabilities, Task, capable
from ftkit.contracts.deciding import answer_rule
from ftkit.contracts.tasks import SINGLE_LABEL
from ftkit.errors import BundleError, DeployError
from ftkit.evaluation.answer_rules import Decided, decide
from ftkit.plugins.calls import call

FORMAT = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Bundle:
    """A verified bundle."""

    folder: Path
    manifest: Mapping[str, Any]
    hash: str

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Label names, in the order of the model's outputs."""
        return tuple(self.manifest["classes"])

    @property
    def task(self) -> Task:
        """What is asked of a text; older bundles do not say it, and are `single-label`."""
        return self.manifest.get("task", SINGLE_LABEL)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the texts of a row: two where the model reads pairs, see `ftkit.pairs`."""
        return tuple(self.manifest.get("fields", pairs.TEXT))

    @cached_property
    def rule(self) -> AnswerRule | None:
        """How probabilities become answers, of a bundle that does not answer as every model does."""
        return answer_rule(self.manifest["decision"]) if "decision" in self.manifest else None

    @cached_property
    def sample_request(self) -> dict[str, Any]:
        """A request in the endpoint's format that a healthy deployment answers."""
        return strict_json.read_object(self.folder / "sample_request.json")

    @cached_property
    def recipe(self) -> str:
        """The resolved recipe that made the model, as TOML text."""
        return (self.folder / "recipe.toml").read_text(encoding="utf-8")

    @property
    def record(self) -> PromotionRecord | None:
        """The promotion record, read from disk; None while the bundle was not tested. Raises: BundleError."""
        return records.read(self.folder, self.hash)

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines of the bundle beside the native one, from the manifest: no model is loaded."""
        return tuple(self.manifest.get("engines", ()))

    @property
    def passed(self) -> tuple[str, ...]:
        """The engines whose answers passed the promotion tests, the native one first: `auto` chooses from these."""
        record = self.record
        return (NATIVE, *(engine for engine in self.engines if record is not None and record.passed(engine)))

    @cached_property
    def classifier(self) -> Classifier:
        """The model, loaded once. Raises: PluginError when the backbone's plugin is not installed; BundleError."""
        return self.loaded(NATIVE)

    def classifier_of(self, engine: str = NATIVE) -> Classifier:
        """The model in the form of this engine; only what the engine needs is loaded.

        Raises: PluginError when the backbone's plugin, or what the engine needs, is not installed; BundleError.
        """
        return self.classifier if engine == NATIVE else self.loaded(engine)

    def loaded(self, engine: str) -> Classifier:
        """As `classifier_of`, but read from disk again and not cached."""
        backbone = self._backbone()
        if engine == NATIVE:
            return self._checked(call(Backbone.load, backbone, self.folder / "model"))
        self.require(engine)
        if not capable(backbone, Exporting):
            raise BundleError(
                f"the backbone {self.manifest['backbone']['use']!r} as it is installed has no engines",
                where=str(self.folder),
                hint="Install the version of its plugin that made the bundle.",
            )
        return self._checked(call(Exporting.load_engine, backbone, self.folder / "model", engine))

    def require(self, engine: str) -> None:
        """Raises: BundleError when the bundle has no such engine."""
        if engine not in (NATIVE, *self.engines):
            raise BundleError(
                f"the bundle has no engine {engine!r}",
                where=str(self.folder),
                hint=f"It has: {', '.join((NATIVE, *self.engines))}. Others come with backbone.engines in the recipe.",
            )

    def _backbone(self) -> Any:
        kind = plugins.load().find("backbones", self.manifest["backbone"]["use"])
        required = {each.name for each in options.options(kind) if each.required}
        given = {name: value for name, value in self.manifest["backbone"].items() if name in required}
        return options.made(kind, options.convert(kind, given, partial=True))

    def probabilities(self, texts: Sequence[str]) -> Any:
        """Class probabilities, an array of (texts, classes). Raises: BundleError when the model answers anything else."""
        probabilities = call(Classifier.probabilities, self.classifier, texts)
        if wrong := answers.wrong_probabilities(probabilities, len(texts), len(self.classes), self.task):
            raise self._broken(f"the model answers {wrong}")
        return probabilities

    def _checked(self, classifier: Any) -> Classifier:
        """What was loaded. Raises: BundleError unless it is a classifier of the bundle's classes."""
        if wrong := answers.wrong_classifier(classifier, self.classes, task=self.task):
            raise self._broken(f"what was loaded is {wrong}")
        return classifier

    def _broken(self, what: str) -> BundleError:
        from ftkit.plugins.titles import title

        backbone = title("backbones", self.manifest["backbone"]["use"])
        hint = "Its author can mend `save` and `load`: the tests of ftkit.testing.backbones show where."
        return BundleError(f"{backbone}: {what}", where=str(self.folder), hint=hint)

    def predict(self, texts: str | Sequence[str] | Sequence[tuple[str, str]]) -> list[Any]:
        """The label name of each text, or pair of texts, with the task `multi-label` a list; None where the model is unsure."""
        rows = [texts] if isinstance(texts, str) else texts
        texts = [row if isinstance(row, str) else pairs.join(*row) for row in rows]
        return self.decided(self.probabilities(texts)).labels if texts else []

    def decided(self, probabilities: Probabilities) -> Decided:
        """The answers to texts with these probabilities, (texts, classes)."""
        return decide(probabilities, self.classes, self.task, self.rule)


def write(
    folder: Path,
    *,
    model: Path,
    classes: Sequence[str],
    backbone: Mapping[str, Any],
    recipe: str,
    card: str,
    sample_texts: Sequence[str],
    about: Mapping[str, Any],
    task: Task = SINGLE_LABEL,
    fields: Sequence[str] = pairs.TEXT,
    rule: AnswerRule | None = None,
    export: Callable[[Path], None] | None = None,
    engines: Sequence[str] = (),
) -> Bundle:
    """Make a bundle from a folder that `Classifier.save` wrote; it is written whole, or not at all.

    `backbone` is its recipe section with the winning values, `rule` how it answers if not as every model does; `about` holds
    further entries of the manifest; `export` adds these engines to the copy of the model.
    Raises: BundleError, also for a full disk; nothing is left behind.
    """
    try:
        with files.atomic_folder(folder) as partial:
            contents.names(model)
            shutil.copytree(model, partial / "model")
            if export is not None:
                export(partial / "model")
            contents.check(partial, _names(partial), str(backbone["use"]))
            (partial / "recipe.toml").write_text(recipe, encoding="utf-8")
            (partial / "README.md").write_text(card, encoding="utf-8")
            sample = {"data": [pairs.as_row(text, fields) for text in sample_texts]}
            files.write_json(partial / "sample_request.json", sample)
            manifest = {
                **about,
                "format": FORMAT,
                "task": task,
                "classes": list(classes),
                **({"fields": list(fields)} if len(fields) > 1 else {}),
                **({"decision": rule.table()} if rule is not None else {}),
                "backbone": dict(backbone),
                **({"engines": list(engines)} if engines else {}),
                "files": {name: files.sha256(partial / name) for name in _names(partial)},
            }
            files.write_json(partial / MANIFEST, manifests.sealed(manifest))
    except OSError as error:
        raise contents.unwritable(folder, error) from error
    return verify(folder)


def verify(folder: str | Path) -> Bundle:
    """Open a bundle after comparing every file with the manifest, and the promotion record, if any, with its digest.

    Raises: BundleError naming the first files that are missing, changed or not listed.
    """
    folder = files.expanded(folder).absolute()
    path = folder / MANIFEST
    if not (files.exists(path) and path.is_file()):
        raise BundleError(
            "not a bundle: it has no manifest.json",
            where=str(folder),
            hint="`ftkit runs` and `ftkit models` show where bundles are.",
        )
    try:
        manifest = strict_json.read_object(path)
        format_, listed = manifest["format"], dict(manifest["files"])
        use = manifest["backbone"]["use"]
        manifests.check(manifest)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        what = "the manifest cannot be read, or was changed since it was written"
        raise BundleError(what, where=str(path), hint=_AGAIN) from error
    if format_ != FORMAT:
        raise BundleError(
            f"the bundle has format {format_}, this ftkit reads format {FORMAT}",
            where=str(folder),
            hint="Use the ftkit version that made it: the manifest names it.",
        )
    present = set(_names(folder))
    missing, unlisted = set(listed) - present, present - set(listed)
    try:
        changed = [name for name in present & set(listed) if files.sha256(folder / name) != listed[name]]
        digest = files.sha256(path)
        if not (missing or unlisted or changed):
            contents.check(folder, sorted(present), str(use))
    except OSError as error:
        raise BundleError(
            f"the bundle cannot be read: {error.strerror or error}",
            where=str(error.filename or folder),
            hint="Fix the permissions or the disk, or fetch the bundle again from the registry.",
        ) from error
    if damage := manifests.damage(missing, changed, unlisted):
        raise BundleError(f"the bundle is damaged: {damage}", where=str(folder), hint=_AGAIN)
    bundle = Bundle(folder, manifest, digest)
    bundle.record  # noqa: B018  raises for a record that was changed
    return bundle


def cleared(folder: str | Path, engine: str = NATIVE) -> Bundle:
    """Open a bundle for deployment: verified, and let through by the promotion tests or by a person's override.

    Every deployer calls this before it deploys a bundle, with the engine that is to answer.
    Raises: DeployError saying what is missing; BundleError when bundle or record were changed.
    """
    bundle = verify(folder)
    if engine != AUTO:
        bundle.require(engine)
    record = bundle.record
    if record is None:
        raise DeployError(
            "the bundle has no promotion record, so nobody knows whether it passed its tests",
            where=str(bundle.folder),
            hint="Deploy what `ftkit run` promoted; a run that broke off before its tests goes on with the same command.",
        )
    if not record.passing:
        raise DeployError(
            f"the bundle may not be deployed. {record.sentence}",
            where=str(bundle.folder),
            hint=f'To deploy it all the same, with your name and reason in its record: ftkit promote {record.run} --override "why".',
        )
    if not record.allows(engine):
        raise DeployError(
            f"no test has passed the answers of the engine {engine!r}, so the bundle may not be deployed on it",
            where=str(bundle.folder),
            hint='Add [[promote]] use = "served-parity" to the recipe and run it again, or deploy with engine = "native".',
        )
    return bundle


_AGAIN = "Fetch it again from the registry, or run the recipe again; do not edit a bundle by hand."


def _names(folder: Path) -> list[str]:
    """Every file below a bundle's folder but the manifest and the record, as relative POSIX paths."""
    return [name for name in contents.names(folder) if name not in (MANIFEST, records.NAME)]
