"""Pushes a bundle to a repository of the Hugging Face hub: everything is made and checked here before anything is written there."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ftkit.bundle import contents
from ftkit.bundle import promotion_record as records
from ftkit.bundle.bundle import Bundle
from ftkit.hub import repository as repositories
from ftkit.hub import transformers_form
from ftkit.hub.card import FOLDER, card
from ftkit.hub.clearance import record_to_push, require_no_secrets
from ftkit.hub.repository import Pushed


@dataclass(frozen=True)
class Options:
    """What a person decides about a push."""

    public: bool = False
    """Whether everybody may see the repository."""
    override: str | None = None
    """Why a model is pushed that its tests did not let through."""
    licence: str | None = None
    """The licence on the card in place of that of the pretrained weights."""


def push(
    bundle: Bundle, repository: str, chosen: Options, tell: Callable[[str], None] = lambda _: None
) -> tuple[Pushed, bool]:
    """Push a verified bundle, and say whether transformers loads what was pushed; `tell` hears what takes time.

    Raises: UsageError, BundleError, RegistryError, PluginError: nothing was pushed then.
    """
    repositories.require_package()
    record = record_to_push(bundle, chosen.override)
    require_no_secrets(bundle)
    target = repositories.look(repository, chosen.public)
    with tempfile.TemporaryDirectory(prefix="ftkit-push-") as staging:
        form = None
        if transformers_form.possible(bundle):
            tell("Comparing the answers of transformers with those of the bundle")
            form = transformers_form.write(bundle, Path(staging))
        text = card(bundle, record, target.name, form, chosen.licence)
        files: dict[str, Path | bytes] = {path.name: path for path in sorted(Path(staging).iterdir())}
        files["README.md"] = text.encode()
        files |= {f"{FOLDER}/{name}": bundle.folder / name for name in contents.names(bundle.folder)}
        if chosen.override is not None:
            files[f"{FOLDER}/{records.NAME}"] = record.text.encode()
        tell(f"Pushing {len(files):,} files to {target.name}")
        message = f"{record.name or 'model'} of run {record.run}, bundle {bundle.hash[:12]}. {record.conclusion}"
        return repositories.write(target, files, message), form is not None
