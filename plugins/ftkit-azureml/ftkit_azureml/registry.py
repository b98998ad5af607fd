"""The registry `azureml`: bundles as versions of a model in a workspace.

A version's files are the bundle, its promotion record beside it; its tags hold the other facts. The champion is the version
whose tag `ftkit.champion` has the highest number, so that one change of one version makes another the champion.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any, ClassVar

from ftkit_azure.workspace import InWorkspace

from ftkit import files, scratch
from ftkit.bundle import bundle as bundles
from ftkit.bundle.bundle import Bundle
from ftkit.contracts import Lineage, Version
from ftkit.errors import BundleError, RegistryError
from ftkit_azureml import assets, client
from ftkit_azureml.assets import BUNDLE, RECORD, record_digest

RUN, CHAMPION = "ftkit.run", "ftkit.champion"


@dataclass(frozen=True, kw_only=True)
class AzureModels(InWorkspace):
    """The model registry of an Azure Machine Learning workspace."""

    name: ClassVar[str] = "azureml"
    model: str
    """The registered model's name."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,254}", self.model, re.ASCII):
            raise ValueError(
                f"model must be letters, digits, dots, - and _, a letter or digit first, not {self.model!r}"
            )

    def track(self, lineage: Lineage) -> None:
        """Do nothing: the trials are in the run's folder, in the bundle's card and in its promotion record."""

    def register(self, bundle: Path, lineage: Lineage) -> Version:
        """Store a bundle with its record as a new version; the same of the same run is stored once."""
        opened = bundles.verify(bundle)
        if lineage.bundle_hash not in ("", opened.hash):
            raise RegistryError(
                "the lineage is that of another bundle",
                where=str(bundle),
                hint="Run the recipe again with --fresh.",
            )
        with client.connected(self, RegistryError, self.model) as azure:
            from azure.ai.ml.entities import Model

            tags = _tags(opened, lineage)
            same = {key: tags[key] for key in (BUNDLE, RUN, RECORD)}
            known = assets.versions(azure, self.model)
            if not any(same.items() <= (each.tags or {}).items() for each in known):
                azure.models.create_or_update(
                    Model(
                        name=self.model,
                        version=str(assets.newest(known) + 1),
                        path=str(opened.folder),
                        type="custom_model",
                        description=_sentence(lineage),
                        tags=tags,
                    )
                )
                known = assets.versions(azure, self.model)
            stored = next(each for each in known if same.items() <= (each.tags or {}).items())
            return self._version(stored, known)

    def promote(self, version: str) -> Version:
        """Make a version the champion."""
        with client.connected(self, RegistryError, self.model) as azure:
            known = assets.versions(azure, self.model)
            chosen = self._one(known, version)
            if _champion(known) is not chosen:
                chosen.tags = {**(chosen.tags or {}), CHAMPION: str(max(map(_promotion_number, known)) + 1)}
                azure.models.create_or_update(chosen)
                known = assets.versions(azure, self.model)
            return self._version(self._one(known, version), known)

    def champion(self) -> Version | None:
        """The version that is live, or None when there is none yet."""
        with client.connected(self, RegistryError, self.model) as azure:
            azure.workspaces.get(self.place.name)  # a workspace that is not there has no models either
            known = assets.versions(azure, self.model)
            champion = _champion(known)
            return self._version(champion, known) if champion is not None else None

    def fetch(self, version: str, folder: Path) -> Path:
        """Make `folder` the version's bundle, verified against the hash it was registered with.

        A folder that holds this very bundle is left as it is; one that holds anything but a bundle is refused.
        """
        with client.connected(self, RegistryError, self.model) as azure:
            tags = self._one(assets.versions(azure, self.model), version).tags or {}
            place = f"{self.model} version {version} in {self.place}"
            if not tags.get(BUNDLE):
                raise RegistryError(
                    "this version was not registered by ftkit, so it holds no bundle",
                    where=place,
                    hint="Promote a version that `ftkit models` lists with a hash.",
                )
            if _is_bundle(folder, tags):
                return folder
            with scratch.folder() as temporary:
                azure.models.download(self.model, version, str(temporary))
                manifests = list(temporary.rglob(bundles.MANIFEST))
                if len(manifests) != 1:
                    raise RegistryError("its files are not there", where=place, hint=_RESTORE)
                _verified(manifests[0].parent, tags, place)
                with files.atomic_folder(folder) as partial:
                    shutil.copytree(manifests[0].parent, partial, dirs_exist_ok=True)
            return folder

    def versions(self) -> Sequence[Version]:
        """All versions, newest first."""
        with client.connected(self, RegistryError, self.model) as azure:
            known = assets.versions(azure, self.model)
            return [self._version(each, known) for each in known]

    def _one(self, known: Sequence[Any], version: str) -> Any:
        chosen = next((each for each in known if each.version == version), None)
        if chosen is None:
            names = ", ".join(each.version for each in known[:5])
            raise RegistryError(
                f"{self.model} has no version {version}",
                where=str(self.place),
                hint=f"The latest are {names}." if names else "It has no version yet: run a recipe first.",
            )
        return chosen

    def _version(self, stored: Any, known: Sequence[Any]) -> Version:
        tags: Mapping[str, str] = stored.tags or {}
        champion = _champion(known)
        aliases = [
            *(["champion"] if champion is not None and champion.version == stored.version else []),
            *(["challenger"] if stored.version == known[0].version and not _promotion_number(stored) else []),
        ]
        created = stored.creation_context.created_at if stored.creation_context else None
        return Version(
            model=self.model,
            version=stored.version,
            aliases=tuple(aliases),
            bundle_hash=tags.get(BUNDLE, ""),
            run=tags.get(RUN, ""),
            metrics={
                key.removeprefix("ftkit.metric."): float(value)
                for key, value in tags.items()
                if key.startswith("ftkit.metric.")
            },
            created=created.astimezone(UTC).isoformat(timespec="seconds") if created else "",
        )


_RESTORE = "Restore its files, or promote another version; `ftkit models` lists them."


def _tags(bundle: Bundle, lineage: Lineage) -> dict[str, str]:
    metrics = {
        f"ftkit.metric.{key}": repr(float(value)) for key, value in lineage.metrics.items() if math.isfinite(value)
    }
    return {
        BUNDLE: bundle.hash,
        RUN: lineage.run,
        RECORD: record_digest(bundle),
        "ftkit.data": lineage.data.fingerprint,
        "ftkit.classes": json.dumps(list(bundle.classes), ensure_ascii=False)[:256],
        **metrics,
    }


def _sentence(lineage: Lineage) -> str:
    verdicts = "; ".join(f"{each.test}: {each.status}" for each in lineage.verdicts)
    return f"Run {lineage.run} of ftkit. {verdicts}".strip()


def _promotion_number(version: Any) -> int:
    """The number of the promotion that made this version the champion; 0 for one that never was."""
    number = (version.tags or {}).get(CHAMPION, "")
    return int(number) if number.isdigit() else 0


def _champion(known: Sequence[Any]) -> Any | None:
    latest = max(known, key=_promotion_number, default=None)
    return latest if latest is not None and _promotion_number(latest) else None


def _is_bundle(folder: Path, tags: Mapping[str, str]) -> bool:
    """Whether the folder is that bundle with that record. Raises: RegistryError when it holds something that is no bundle."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    if not (folder / bundles.MANIFEST).is_file():
        raise RegistryError(
            "the folder holds something else than a bundle, which is not replaced",
            where=str(folder),
            hint="Name a folder that is new or empty.",
        )
    try:
        return _agrees(bundles.verify(folder), tags)
    except BundleError:
        return False


def _verified(folder: Path, tags: Mapping[str, str], place: str) -> None:
    """Raises: RegistryError when what came from the registry is not what was registered."""
    try:
        opened = bundles.verify(folder)
    except BundleError as error:
        raise RegistryError(f"its files were changed: {error.what}", where=place, hint=_RESTORE) from error
    if not _agrees(opened, tags):
        raise RegistryError("its bundle or its record was replaced since it was registered", where=place, hint=_RESTORE)


def _agrees(bundle: Bundle, tags: Mapping[str, str]) -> bool:
    return bundle.hash == tags[BUNDLE] and record_digest(bundle) == tags.get(RECORD, "")
