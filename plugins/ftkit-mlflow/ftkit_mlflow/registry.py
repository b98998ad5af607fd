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
    """An MLflow model registry: a SQLite file of your own, or a shared server.

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
    """Where models are stored when tracking_uri is a database, such as `s3://…`; left out, a folder beside the SQLite file."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w. -]*[\w-]", self.model) or self.model.startswith(" "):
            raise ValueError(f"model must be a name of letters, digits, dots, spaces, - and _, not {self.model!r}")
        if self.experiment is not None and not self.experiment.strip():
            raise ValueError("experiment must not be empty")
        for field in ("tracking_uri", "registry_uri", "artifacts"):
            _check_address(field, getattr(self, field))

    def track(self, lineage: Lineage) -> None:
        """Record the run and each trial as MLflow runs; what is already recorded stays as it is.

        A second call, after the promotion tests, adds their verdicts and the test metrics.
        """
        with connection.opened(self._tracking, self._registry) as client:
            tracking.record(client, self._experiment(client), lineage)

    def register(self, bundle: Path, lineage: Lineage) -> Version:
        """Store a bundle as a new version with the alias challenger; the same bundle of the same run is stored once."""
        verified = bundles.verify(bundle)
        if lineage.bundle_hash not in ("", verified.hash):
            raise RegistryError(
                "the lineage is that of another bundle",
                where=str(bundle),
                hint="Run the recipe again with --fresh.",
            )
        with connection.opened(self._tracking, self._registry) as client:
            registered = self._registered(client, verified.hash, lineage.run)
            if registered is None or not self._stored(client, registered):
                run = tracking.record(client, self._experiment(client), lineage)
                source = self._store(client, run, verified, lineage)
                registered = registered or self._create(client, run, source, verified, lineage)
            self._update_record(client, registered, verified)
            version = str(registered.version)
            aliases = self._aliases(client)
            newest = max((int(each.version) for each in self._all(client)), default=0)
            if int(version) == newest and version not in (aliases.get(CHAMPION), aliases.get(CHALLENGER)):
                client.set_registered_model_alias(self.model, CHALLENGER, version)
            return self._version(client.get_model_version(self.model, version), self._aliases(client))

    def promote(self, version: str) -> Version:
        """Make a version the champion; it loses the alias challenger."""
        with connection.opened(self._tracking, self._registry) as client:
            registered = self._get(client, version)
            client.set_registered_model_alias(self.model, CHAMPION, str(registered.version))
            if self._aliases(client).get(CHALLENGER) == str(registered.version):
                client.delete_registered_model_alias(self.model, CHALLENGER)
            return self._version(registered, self._aliases(client))

    def champion(self) -> Version | None:
        """The version with the alias champion; None when no version has it."""
        with connection.opened(self._tracking, self._registry) as client:
            aliases = self._aliases(client)
            return self._version(self._get(client, aliases[CHAMPION]), aliases) if CHAMPION in aliases else None

    def fetch(self, version: str, folder: Path) -> Path:
        """Download a version's bundle to `folder` and verify it against the hash it was registered with.

        A folder that holds the same bundle stays as it is; one that holds anything but a bundle is refused.
        """
        with connection.opened(self._tracking, self._registry) as client:
            registered = self._get(client, version)
            bundle_hash = registered.tags.get("ftkit.bundle")
            place = f"{self.model} version {version} in {addresses.shown(self._registry)}"
            if not bundle_hash:
                raise RegistryError(
                    "this version was not registered by ftkit, so it holds no bundle",
                    where=place,
                    hint="Give the alias champion to a version for which `ftkit models` shows a hash, or remove the alias.",
                )
            record = registered.tags.get(RECORD)
            if _is_bundle(folder, bundle_hash, record):
                return folder
            source = client.get_model_version_download_uri(self.model, str(registered.version))
            with files.atomic_folder(folder) as partial:
                bundle = connection.download(f"{source}/bundle", partial / "bundle", self._tracking, place)
                _verify(bundle, bundle_hash, record, place)
                for each in list(bundle.iterdir()):
                    each.rename(partial / each.name)
                bundle.rmdir()
            return folder

    def versions(self) -> Sequence[Version]:
        """All versions, newest first."""
        with connection.opened(self._tracking, self._registry) as client:
            aliases = self._aliases(client)
            newest_first = sorted(self._all(client), key=lambda each: int(each.version), reverse=True)
            return [self._version(each, aliases) for each in newest_first]

    @property
    def local(self) -> bool:
        """Whether other machines cannot reach it: a file, or a server on this machine."""
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
        """The root of all artifacts; None where the server decides."""
        if self.artifacts or urlsplit(self._tracking).scheme in ("http", "https", "databricks"):
            return self.artifacts
        database = addresses.sqlite_file(self._tracking)
        beside = database.with_name(f"{database.stem}-artifacts") if database else files.home() / "mlflow-artifacts"
        return beside.as_uri()

    def _aliases(self, client: Any) -> dict[str, str]:
        """Version by alias; empty while the model does not exist."""
        registered_model = connection.existing(lambda: client.get_registered_model(self.model))
        return {alias: str(version) for alias, version in registered_model.aliases.items()} if registered_model else {}

    def _all(self, client: Any) -> list[Any]:
        return connection.pages(client.search_model_versions, filter_string=f"name = '{self.model}'")

    def _get(self, client: Any, version: str) -> Any:
        registered = (
            connection.existing(lambda: client.get_model_version(self.model, version)) if version.isdigit() else None
        )
        if registered is None:
            latest = ", ".join(sorted((str(each.version) for each in self._all(client)), key=int, reverse=True)[:5])
            raise RegistryError(
                f"{self.model} has no version {version}",
                where=addresses.shown(self._registry),
                hint=f"The latest are {latest}." if latest else "It has no version yet: run a recipe first.",
            )
        return registered

    def _registered(self, client: Any, digest: str, run: str) -> Any | None:
        same = (
            each
            for each in self._all(client)
            if each.tags.get("ftkit.bundle") == digest and each.tags.get("ftkit.run") == run
        )
        return next(same, None)

    def _stored(self, client: Any, version: Any) -> bool:
        """Whether the store still has the version's artifacts."""
        source = client.get_model_version_download_uri(self.model, str(version.version))
        return connection.holds(source, {"MLmodel", "bundle"}, self._tracking)

    def _store(self, client: Any, run: str, bundle: Bundle, lineage: Lineage) -> str:
        """Copy the bundle and the other files of the MLflow model to the run's artifacts; returns their address."""
        from ftkit_mlflow import packaging

        place = f"model-{bundle.hash[:12]}"
        client.log_artifacts(run, str(bundle.folder), f"{place}/bundle")
        with packaging.model_files(bundle, run, place, tracking.as_json(lineage)) as folder:
            client.log_artifacts(run, str(folder), place)
        return f"{client.get_run(run).info.artifact_uri.rstrip('/')}/{place}"

    def _update_record(self, client: Any, registered: Any, bundle: Bundle) -> None:
        """Store the bundle's promotion record with the version when it has changed: an override changes it."""
        record = bundle.record
        if record is None or registered.tags.get(RECORD) == record.digest:
            return
        client.log_artifact(registered.run_id, str(bundle.folder / records.NAME), f"model-{bundle.hash[:12]}/bundle")
        client.set_model_version_tag(self.model, str(registered.version), RECORD, record.digest)

    def _create(self, client: Any, run: str, source: str, bundle: Bundle, lineage: Lineage) -> Any:
        connection.unless_present(lambda: client.create_registered_model(self.model))
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
            description=tracking.description(lineage),
        )

    def _version(self, registered: Any, aliases: dict[str, str]) -> Version:
        version = str(registered.version)
        return Version(
            model=self.model,
            version=version,
            aliases=tuple(sorted(alias for alias, owner in aliases.items() if owner == version)),
            bundle_hash=registered.tags.get("ftkit.bundle", ""),
            run=registered.tags.get("ftkit.run", ""),
            metrics=json.loads(registered.tags.get("ftkit.metrics", "{}")),
            created=datetime.fromtimestamp(registered.creation_timestamp / 1000, UTC).isoformat(timespec="seconds"),
        )


def _check_address(field: str, uri: str | None) -> None:
    """Raises: ValueError for a text that is not an address, and for an address with a password."""
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


def _is_bundle(folder: Path, bundle_hash: str, record: str | None) -> bool:
    """Whether the folder holds the bundle with this hash and record. Raises: RegistryError when it holds no bundle at all."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    if not (folder / bundles.MANIFEST).is_file():
        raise RegistryError(
            "the folder holds something other than a bundle, which is not replaced",
            where=str(folder),
            hint="Name a new or an empty folder.",
        )
    try:
        bundle = bundles.verify(folder)
        return bundle.hash == bundle_hash and record in (None, bundle.record and bundle.record.digest)
    except BundleError:
        return False


def _verify(folder: Path, bundle_hash: str, record: str | None, place: str) -> None:
    """Raises: RegistryError when the downloaded bundle is not the one that was registered."""
    hint = "Restore the artifacts, or promote another version; `ftkit models` lists them."
    try:
        bundle = bundles.verify(folder)
    except BundleError as error:
        raise RegistryError(f"its artifacts were changed: {error.what}", where=place, hint=hint) from error
    if bundle.hash != bundle_hash:
        raise RegistryError(
            f"its bundle was replaced: it has the hash {bundle.hash[:12]} and was registered with {bundle_hash[:12]}",
            where=place,
            hint=hint,
        )
    if record not in (None, bundle.record and bundle.record.digest):
        raise RegistryError("its promotion record was replaced since it was registered", where=place, hint=hint)
