"""The loopback Azure of the tests: the cloud with the services of both SDKs."""

from __future__ import annotations

from pathlib import Path

from tests.azure.cloud import Cloud
from tests.azure.identity import SECRET, Identity, Machine
from tests.azure.storage import SIGNATURE, Storage
from tests.azure.v1.regional import STORE_KEY
from tests.azure.v1.services import V1
from tests.azure.v2.assets import Assets
from tests.azure.v2.deployments import Deployments
from tests.azure.v2.endpoints import KEY, Endpoints
from tests.azure.v2.history import RunHistory, Tracking
from tests.azure.v2.jobs import Jobs
from tests.azure.v2.monitor import Monitor
from tests.azure.v2.operations import Operations
from tests.azure.v2.schemas import Schemas
from tests.azure.v2.scoring import Scoring
from tests.azure.workspace import Clouds, Subscriptions, Workspace


class Azure(Cloud):
    """Sign-in, one workspace, its storage, and the services of both SDKs; a test can add services of its own.

    `scoring_python` is the interpreter that serves deployments, `schemas` the archive of Microsoft's schemas, if any.
    """

    def __init__(self, folder: Path, scoring_python: Path, schemas: Path | None = None) -> None:
        super().__init__(folder)
        self.identity = self.add(Identity())
        self.machine = self.add(Machine())
        self.storage = self.add(Storage())
        self.workspace = self.add(Workspace())
        self.operations = self.add(Operations())
        self.assets = self.add(Assets(self.storage))
        self.endpoints = self.add(Endpoints(self.operations))
        self.scoring = self.add(Scoring(folder, self.endpoints, scoring_python))
        self.deployments = self.add(Deployments(self.operations, self.assets, self.endpoints, self.scoring))
        self.monitor = self.add(Monitor(self.scoring))
        self.subscriptions = self.add(Subscriptions())
        self.clouds = self.add(Clouds())
        self.v1 = V1(self, self.storage, self.workspace)
        self.run_history = self.add(RunHistory(self.v1.runs))
        self.tracking = self.add(Tracking(self.v1.runs))
        self.jobs = self.add(Jobs(self.assets, self.workspace, self.v1.execution))
        self.schemas = Schemas(schemas) if schemas else None
        if self.schemas:
            self.inspectors.append(self.schemas.inspect)

    @property
    def secrets(self) -> list[str]:
        """Texts that must appear in no log, event, record or report."""
        return [SECRET, SIGNATURE, STORE_KEY, KEY, KEY[::-1]]
