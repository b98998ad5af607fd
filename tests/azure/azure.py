"""Azure as tests get it: the cloud with the services that every test needs."""

from __future__ import annotations

from pathlib import Path

from tests.azure.cloud import Cloud
from tests.azure.identity import SECRET, Identity, Machine
from tests.azure.storage import SIGNATURE, Storage
from tests.azure.workspace import Subscriptions, Workspace


class Azure(Cloud):
    """Sign-in, one workspace and its storage; further services are added behind them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.identity = self.add(Identity())
        self.machine = self.add(Machine())
        self.storage = self.add(Storage())
        self.subscriptions = self.add(Subscriptions())
        self.workspace = self.add(Workspace())

    @property
    def secrets(self) -> list[str]:
        """What may be in no log, event, record or report."""
        return [SECRET, SIGNATURE]
