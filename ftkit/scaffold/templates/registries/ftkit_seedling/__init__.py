"""A model registry for ftkit: versions in a folder, such as one that a team shares."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Literal

from ftkit import files, hookimpl
from ftkit.bundle.bundle import verify
from ftkit.contracts import Lineage, Version
from ftkit.errors import RegistryError


@dataclass(frozen=True, kw_only=True)
class Seedling:
    """Versions of a model in a folder."""

    name: ClassVar[str] = "seedling"
    model: str
    """The name of the model."""
    folder: Path | None = None
    """Where the models are; by default a folder of this machine, in FTKIT_HOME."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What to write beside every version, such as the team."""
    copies: Literal["whole", "links"] = "whole"
    """Whether bundles are copied, or linked to the files of their runs, which must be on the same disk."""
    track_trials: bool = True
    """Whether the values and metrics of all trials are kept as well."""
    metrics: tuple[str, ...] = ()
    """The metrics to keep of a version; by default all."""
    patience: float = 30.0
    """Seconds to wait for another process that changes the registry."""
    digits: int = 1
    """Digits of a version's number: with 3 the first version is 001."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+", self.model) or self.model.startswith("."):
            raise ValueError("model must be letters, digits, dots, dashes and underscores: it names a folder")
        if self.digits < 1:
            raise ValueError("digits must be at least 1")

    def track(self, lineage: Lineage) -> None:
        """Store the trials of a run."""
        if self.track_trials:
            trials = [
                {"number": each.number, "values": each.values, "metrics": each.metrics} for each in lineage.trials
            ]
            with self._changing() as folder:
                files.write_json(folder / "runs" / f"{lineage.run}.json", {"trials": trials, "best": lineage.best})

    def register(self, bundle: Path, lineage: Lineage) -> Version:
        """Copy the bundle, and make it the challenger."""
        digest = verify(bundle).hash
        if lineage.bundle_hash != digest:
            raise RegistryError(
                "the lineage is that of another bundle", where=str(bundle), hint="Run the recipe again."
            )
        with self._changing() as folder:
            for known in self.versions():
                if (known.bundle_hash, known.run) == (digest, lineage.run):
                    return known
            number = f"{len(self.versions()) + 1:0{self.digits}}"
            metrics = {
                name: value for name, value in lineage.metrics.items() if not self.metrics or name in self.metrics
            }
            created = datetime.now(UTC).isoformat(timespec="seconds")
            version = Version(self.model, number, (), digest, lineage.run, metrics, created)
            with files.atomic_folder(folder / "versions" / number) as partial:
                self._copy(bundle, partial / "bundle")
                files.write_json(partial / "version.json", {**asdict(version), "tags": dict(self.tags)})
            self._name(folder, "challenger", number)
        return replace(version, aliases=("challenger",))

    def promote(self, version: str) -> Version:
        """Make a version the champion."""
        with self._changing() as folder:
            known = self._known(version)
            if "champion" not in known.aliases:
                self._name(folder, "champion", version)
        return self._known(version)

    def champion(self) -> Version | None:
        """The version that is live."""
        return next((each for each in self.versions() if "champion" in each.aliases), None)

    def fetch(self, version: str, folder: Path) -> Path:
        """Copy a version's bundle into a folder."""
        self._known(version)
        shutil.copytree(self._folder / "versions" / version / "bundle", folder, dirs_exist_ok=True)
        return folder

    def versions(self) -> Sequence[Version]:
        """All versions, newest first."""
        versions = []
        for path in self._folder.glob("versions/*/version.json"):
            table = json.loads(path.read_text(encoding="utf-8"))
            table.pop("tags")
            names = tuple(alias for alias, number in self._aliases().items() if number == table["version"])
            versions.append(Version(**{**table, "aliases": names}))
        return sorted(versions, key=lambda each: int(each.version), reverse=True)

    @property
    def _folder(self) -> Path:
        return (self.folder or files.home() / "seedling") / self.model

    @contextmanager
    def _changing(self) -> Iterator[Path]:
        """The model's folder, for one process at a time. Raises: RegistryError."""
        from filelock import FileLock, Timeout

        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self._folder / "lock", timeout=self.patience):
                yield self._folder
        except Timeout as error:
            hint = "Wait until no other run registers a model, or raise patience."
            raise RegistryError("another process changes the registry", str(self._folder), hint) from error
        except OSError as error:
            raise RegistryError(f"the folder cannot be used: {error}", str(self._folder), "Set folder.") from error

    def _known(self, version: str) -> Version:
        """A version by its number. Raises: RegistryError."""
        versions = {each.version: each for each in self.versions()}
        if version not in versions:
            hint = f"There are: {', '.join(versions) or 'none'}."
            raise RegistryError(f"the model {self.model!r} has no version {version!r}", str(self._folder), hint)
        return versions[version]

    def _aliases(self) -> dict[str, str]:
        path = self._folder / "aliases.json"
        aliases: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return aliases

    def _name(self, folder: Path, alias: str, version: str) -> None:
        """Give a version an alias; a champion is no challenger any more."""
        others = {name: number for name, number in self._aliases().items() if number != version and name != alias}
        files.write_json(folder / "aliases.json", others | {alias: version})

    def _copy(self, bundle: Path, target: Path) -> None:
        if self.copies == "whole":
            shutil.copytree(bundle, target)
        else:
            shutil.copytree(bundle, target, copy_function=_linked)


def _linked(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


@hookimpl
def registries() -> list[type[Seedling]]:
    """The registries of this plugin."""
    return [Seedling]
