"""The services of the older SDK together, as tests use them."""

from __future__ import annotations

from tests.azure.cloud import Cloud
from tests.azure.storage import Storage
from tests.azure.v1.datasets import Datasets
from tests.azure.v1.execution import Execution
from tests.azure.v1.history import Artifacts, History, Metrics, Runs
from tests.azure.v1.pipelines import Pipelines
from tests.azure.v1.regional import Clusters, Datastores, Discovery, ManagedClusters, described
from tests.azure.v1.snapshots import Snapshots
from tests.azure.v1.sources import DataSources
from tests.azure.workspace import Workspace


class V1:
    """Every service that azureml-core and its pipelines use."""

    def __init__(self, cloud: Cloud, storage: Storage, workspace: Workspace) -> None:
        self.runs = Runs(storage)
        self.discovery = cloud.add(Discovery())
        self.datastores = cloud.add(Datastores())
        workspace.clusters = {name: described(each) for name, each in workspace.clusters.items()}
        self.clusters = cloud.add(Clusters(workspace))
        self.managed_clusters = cloud.add(ManagedClusters(workspace))
        self.snapshots = cloud.add(Snapshots(storage))
        self.history = cloud.add(History(self.runs))
        self.metrics = cloud.add(Metrics(self.runs))
        self.artifacts = cloud.add(Artifacts(self.runs))
        self.sources = cloud.add(DataSources())
        self.pipelines = cloud.add(Pipelines(self.runs, self.sources))
        self.datasets = cloud.add(Datasets())
        self.execution = Execution(cloud, self.runs, self.snapshots, self.pipelines, self.datasets)
        cloud.closing.append(self.execution.close)
