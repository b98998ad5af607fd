"""The registry `mlflow`: bundles as versions of a registered model, trials as runs of an experiment.

A version's artifacts are an MLflow model whose data is the bundle, byte for byte:

    PLACE/
      MLmodel, requirements.txt, …   what `mlflow models serve` and `mlflow.pyfunc.load_model` read
      lineage.json                   where the model comes from
      bundle/                        the bundle; its hashes cover nothing of the above
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from ftkit import files
from ftkit.bundle import bundle as bundles
from ftkit.bundle import promotion_record as records
from ftkit.bundle.bundle import Bundle
from ftkit.contracts import Lineage, Version
from ftkit.errors import BundleError, RegistryError
from ftkit_mlflow import addresses, connection, tracking

CHAMPION = "champion"
CHALLENGER = "challenger"
RECORD = "ftkit.record"
"""Tag with the digest of a version's promotion record."""


@dataclass(frozen=True, kw_only=True)
class MLflow:
    """An MLflow model registry: a SQLite file of your own, or a server you share.

    User names, passwords and tokens of a server come from MLflow's own environment variables, such as
    MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD and MLFLOW_TRACKING_TOKEN.
    """

    name: ClassVar[str] = "mlflow"
    model: str
    """The registered model's name."""
    tracking_uri: str | None = None
    """An MLflow server (`http://…`) or database (`sqlite:///…`); left out, a SQLite file in ftkit's own folder."""
    registry_uri: str | None = None
    """The model registry, where it is another server or database than tracking_uri."""
    experiment: str | None = None
    """The experiment that keeps the trials; named as the model when left out."""
    artifacts: str | None = None
    """Where models are stored when tracking_uri is a database, such as `s3://…`; left out, a folder beside a SQLite file."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w. -]*[\w-]", self.model) or self.model.startswith(" "):
            raise ValueError(f"model must be a name of letters, digits, dots, spaces, - and _, not {self.model!r}")
        if self.experiment is not None and not self.experiment.strip():
            raise ValueError("experiment must not be empty")
        for field in ("tracking_uri", "registry_uri", "artifacts"):
            _checked(field, getattr(self, field))

    def track(self, lineage: Lineage) -> None:
        """Record the run and each trial as MLflow runs; what is recorded already stays as it is.

        Calling it again after the promotion tests adds their verdicts and the test metrics.
        """
        with connection.opened(self._tracking, self._registry) as client:
            tracking.record(client, self._experiment(client), lineage)

    def register(self, bundle: Path, lineage: Lineage) -> Version:
        """Store a bundle as a new version with alias challenger; the same bundle of the same run is stored once."""
        opened = bundles.verify(bundle)
        if lineage.bundle_hash not in ("", opened.hash):
            raise RegistryError(
                "the lineage speaks of another bundle than the one to register",
                where=str(bundle),
                hint="Run the recipe again with --fresh.",
            )
        with connection.opened(self._tracking, self._registry) as client:
            found = self._registered(client, opened.hash, lineage.run)
            if found is None or not self._stored(client, found):
                run = tracking.record(client, self._experiment(client), lineage)
                source = self._store(client, run, opened, lineage)
                found = found or self._create(client, run, source, opened, lineage)
            self._note_record(client, found, opened)
            version = str(found.version)
            aliases = self._aliases(client)
            newest = max((int(each.version) for each in self._all(client)), default=0)
            if int(version) == newest and version not in (aliases.get(CHAMPION), aliases.get(CHALLENGER)):
                client.set_registered_model_alias(self.model, CHALLENGER, version)
            return self._version(client.get_model_version(self.model, version), self._aliases(client))

    def promote(self, version: str) -> Version:
        """Make a version the champion; a challenger that is promoted is no challenger any more."""
        with connection.opened(self._tracking, self._registry) as client:
            found = self._get(client, version)
            client.set_registered_model_alias(self.model, CHAMPION, str(found.version))
            if self._aliases(client).get(CHALLENGER) == str(found.version):
                client.delete_registered_model_alias(self.model, CHALLENGER)
            return self._version(found, self._aliases(client))

    def champion(self) -> Version | None:
        """The version with the alias champion, or None when there is none yet."""
        with connection.opened(self._tracking, self._registry) as client:
            aliases = self._aliases(client)
            return self._version(self._get(client, aliases[CHAMPION]), aliases) if CHAMPION in aliases else None

    def fetch(self, version: str, folder: Path) -> Path:
        """Make `folder` the version's bundle, verified against the hash it was registered with.

        A folder that holds this very bundle is left as it is; one that holds anything but a bundle is refused.
        """
        with connection.opened(self._tracking, self._registry) as client:
            found = self._get(client, version)
            wanted = found.tags.get("ftkit.bundle")
            place = f"{self.model} version {version} in {addresses.shown(self._registry)}"
            if not wanted:
                raise RegistryError(
                    "this version was not registered by ftkit, so it holds no bundle",
                    where=place,
                    hint="Give the alias champion to a version that `ftkit models` lists with a hash, or remove the alias.",
                )
            record = found.tags.get(RECORD)
            if _is_bundle(folder, wanted, record):
                return folder
            source = client.get_model_version_download_uri(self.model, str(found.version))
            with files.atomic_folder(folder) as partial:
                bundle = connection.download(f"{source}/bundle", partial / "bundle", self._tracking, place)
                _verified(bundle, wanted, record, place)
                for each in list(bundle.iterdir()):
                    each.rename(partial / each.name)
                bundle.rmdir()
            return folder

    def versions(self) -> Sequence[Version]:
        """All versions, newest first."""
        with connection.opened(self._tracking, self._registry) as client:
            aliases = self._aliases(client)
            found = sorted(self._all(client), key=lambda each: int(each.version), reverse=True)
            return [self._version(each, aliases) for each in found]

    @property
    def local(self) -> bool:
        """Whether only this machine has it: a file, or a server of its own, which no step elsewhere can reach."""
        return any(addresses.local(uri) for uri in (self._tracking, self._registry))

    @property
    def _tracking(self) -> str:
        return self.tracking_uri or f"sqlite:///{files.home() / 'mlflow.db'}"

    @property
    def _registry(self) -> str:
        return self.registry_uri or self._tracking

    def _experiment(self, client: Any) -> str:
        return tracking.experiment(client, self.experiment or self.model, self._artifacts(), self._tracking)

    def _artifacts(self) -> str | None:
        """The root of all artifacts, or None where a server chooses it."""
        if self.artifacts or urlsplit(self._tracking).scheme in ("http", "https", "databricks"):
            return self.artifacts
        database = addresses.sqlite_file(self._tracking)
        beside = database.with_name(f"{database.stem}-artifacts") if database else files.home() / "mlflow-artifacts"
        return beside.as_uri()

    def _aliases(self, client: Any) -> dict[str, str]:
        """Version by alias; empty while the model is not there."""
        found = connection.existing(lambda: client.get_registered_model(self.model))
        return {alias: str(version) for alias, version in found.aliases.items()} if found else {}

    def _all(self, client: Any) -> list[Any]:
        return connection.pages(client.search_model_versions, filter_string=f"name = '{self.model}'")

    def _get(self, client: Any, version: str) -> Any:
        found = (
            connection.existing(lambda: client.get_model_version(self.model, version)) if version.isdigit() else None
        )
        if found is None:
            known = ", ".join(sorted((str(each.version) for each in self._all(client)), key=int, reverse=True)[:5])
            raise RegistryError(
                f"{self.model} has no version {version}",
                where=addresses.shown(self._registry),
                hint=f"The latest are {known}." if known else "It has no version yet: run a recipe first.",
            )
        return found

    def _registered(self, client: Any, digest: str, run: str) -> Any | None:
        same = (
            each
            for each in self._all(client)
            if each.tags.get("ftkit.bundle") == digest and each.tags.get("ftkit.run") == run
        )
        return next(same, None)

    def _stored(self, client: Any, version: Any) -> bool:
        """Whether the version's artifacts are still there."""
        source = client.get_model_version_download_uri(self.model, str(version.version))
        return connection.holds(source, {"MLmodel", "bundle"}, self._tracking)

    def _store(self, client: Any, run: str, bundle: Bundle, lineage: Lineage) -> str:
        """Copy the bundle, then what makes it an MLflow model, to the run's artifacts; returns their address."""
        from ftkit_mlflow import packaging

        place = f"model-{bundle.hash[:12]}"
        client.log_artifacts(run, str(bundle.folder), f"{place}/bundle")
        with packaging.around(bundle, run, place, tracking.told(lineage)) as folder:
            client.log_artifacts(run, str(folder), place)
        return f"{client.get_run(run).info.artifact_uri.rstrip('/')}/{place}"

    def _note_record(self, client: Any, found: Any, bundle: Bundle) -> None:
        """See that the version has the bundle's promotion record as it is now: it may have been decided about again."""
        record = bundle.record
        if record is None or found.tags.get(RECORD) == record.digest:
            return
        client.log_artifact(found.run_id, str(bundle.folder / records.NAME), f"model-{bundle.hash[:12]}/bundle")
        client.set_model_version_tag(self.model, str(found.version), RECORD, record.digest)

    def _create(self, client: Any, run: str, source: str, bundle: Bundle, lineage: Lineage) -> Any:
        connection.unless_there(lambda: client.create_registered_model(self.model))
        return client.create_model_version(
            self.model,
            source,
            run_id=run,
            tags={
                "ftkit.bundle": bundle.hash,
                "ftkit.run": lineage.run,
                **({RECORD: bundle.record.digest} if bundle.record else {}),
                "ftkit.data": lineage.data.fingerprint,
                "ftkit.classes": json.dumps(list(bundle.classes), ensure_ascii=False),
                "ftkit.metrics": json.dumps(tracking.finite(lineage.metrics)),
                **tracking.verdict_tags(lineage),
            },
            description=tracking.sentence(lineage),
        )

    def _version(self, found: Any, aliases: dict[str, str]) -> Version:
        version = str(found.version)
        return Version(
            model=self.model,
            version=version,
            aliases=tuple(sorted(alias for alias, owner in aliases.items() if owner == version)),
            bundle_hash=found.tags.get("ftkit.bundle", ""),
            run=found.tags.get("ftkit.run", ""),
            metrics=json.loads(found.tags.get("ftkit.metrics", "{}")),
            created=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC).isoformat(timespec="seconds"),
        )


def _checked(field: str, uri: str | None) -> None:
    """Raises: ValueError for what can be no address, and for one that gives a password away."""
    if uri is None:
        return
    parts = urlsplit(uri)
    if uri != "databricks" and not parts.scheme:
        raise ValueError(
            f"{field} must be an address such as http://localhost:5000 or sqlite:////data/mlflow.db, not {uri!r}"
        )
    if parts.password:
        raise ValueError(
            f"{field} must not hold a password, because a recipe goes into every bundle; "
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or the database's own password file"
        )


def _is_bundle(folder: Path, wanted: str, record: str | None) -> bool:
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
        opened = bundles.verify(folder)
        return opened.hash == wanted and record in (None, opened.record and opened.record.digest)
    except BundleError:
        return False


def _verified(folder: Path, wanted: str, record: str | None, place: str) -> None:
    """Raises: RegistryError when what came from the registry is not what was registered."""
    hint = "Restore the artifacts, or promote another version; `ftkit models` lists them."
    try:
        opened = bundles.verify(folder)
    except BundleError as error:
        raise RegistryError(f"its artifacts were changed: {error.what}", where=place, hint=hint) from error
    if opened.hash != wanted:
        raise RegistryError(
            f"its bundle was replaced: it has the hash {opened.hash[:12]} and was registered with {wanted[:12]}",
            where=place,
            hint=hint,
        )
    if record not in (None, opened.record and opened.record.digest):
        raise RegistryError("its promotion record was replaced since it was registered", where=place, hint=hint)
