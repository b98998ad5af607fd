"""Components that put secrets into everything they write, log and raise; `test_secrets_everywhere` looks for them."""

from __future__ import annotations

import dataclasses
import logging
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ftkit_local.deployer import LocalDeployer
from ftkit_mlflow import MLflow

from ftkit import hookimpl
from ftkit.contracts import Contender, Data, Emit, Health, Lineage, Report, Verdict, Version
from ftkit.errors import DeployError, RegistryError
from ftkit.events import Noticed
from ftkit.testing.toys import ToyClassifier, ToyReviews, ToyWords

FAILING = "LEAKING_STAGE"
"""Environment variable that names the component that fails: dataset, backbone, test, registry or deployer."""
SIGNATURE = "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA%3D%3D"
BEARER = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
CLIENT_SECRET = "fancy-horse-staple-4711"
"""The value of AZURE_CLIENT_SECRET, which no pattern recognises."""
URL = f"https://store.blob.core.windows.net/data/reviews.csv?sv=2024-01-01&sp=r&sig={SIGNATURE}"


def message(stage: str) -> str:
    """What a careless component of a stage writes."""
    secret = os.environ["AZURE_CLIENT_SECRET"]
    return f"{stage} leaks: GET {URL} with Authorization: Bearer {BEARER} by client secret {secret}"


def leak(stage: str) -> None:
    """Log, print and warn, and then fail if the environment says so."""
    logging.getLogger("leaking").warning(message(stage))
    warnings.warn(message(stage), stacklevel=1)
    if os.environ.get(FAILING) == stage:
        raise RuntimeError(message(stage))


@dataclass(frozen=True, kw_only=True)
class LeakingReviews(ToyReviews):
    """Reviews whose report holds secrets."""

    name: ClassVar[str] = "leaking-reviews"
    source: str = ""
    """Where the reviews come from."""

    def load(self, seed: int, emit: Emit) -> Data:
        emit(Noticed(message("dataset")))
        leak("dataset")
        data = super().load(seed, emit)
        report = dataclasses.replace(data.report, source=URL, notes=(message("dataset"),))
        return dataclasses.replace(data, report=report)


@dataclass(frozen=True, kw_only=True)
class LeakingWords(ToyWords):
    """A model whose training prints secrets."""

    name: ClassVar[str] = "leaking-words"
    endpoint: str = ""
    """Where the weights come from."""

    def fit(self, data: Data, seed: int, report: Report) -> ToyClassifier:
        print(message("backbone"))
        leak("backbone")
        return super().fit(data, seed, report)

    def load(self, folder: Path) -> ToyClassifier:
        logging.getLogger("ftkit.serving").warning(message("backbone"))
        return super().load(folder)


@dataclass(frozen=True, kw_only=True)
class LeakingTest:
    """A promotion test whose sentence holds secrets."""

    name: ClassVar[str] = "leaking-test"
    api_token: str = ""
    """Gives access to a labelling service."""

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        leak("test")
        return Verdict(self.name, "passed", message("test"), {"value": 1.0})


@dataclass(frozen=True, kw_only=True)
class LeakingRegistry(MLflow):
    """A registry that fails with secrets."""

    name: ClassVar[str] = "leaking-registry"

    def register(self, bundle: Path, lineage: Lineage) -> Version:
        try:
            leak("registry")
        except RuntimeError as error:
            raise RegistryError(message("registry"), where=URL, hint=message("registry")) from error
        return super().register(bundle, lineage)


@dataclass(frozen=True, kw_only=True)
class LeakingDeployer(LocalDeployer):
    """An endpoint whose health report holds secrets."""

    name: ClassVar[str] = "leaking-deployer"

    def create(self, deployment: str, bundle: Path) -> None:
        try:
            leak("deployer")
        except RuntimeError as error:
            raise DeployError(message("deployer"), where=URL, hint=message("deployer")) from error
        super().create(deployment, bundle)

    def health(self, deployment: str) -> Health:
        health = super().health(deployment)
        return dataclasses.replace(health, reason=message("deployer")) if health.state == "starting" else health


@hookimpl
def datasets() -> list[type[Any]]:
    return [LeakingReviews]


@hookimpl
def backbones() -> list[type[Any]]:
    return [LeakingWords]


@hookimpl
def promotion_tests() -> list[type[Any]]:
    return [LeakingTest]


@hookimpl
def registries() -> list[type[Any]]:
    return [LeakingRegistry]


@hookimpl
def deployers() -> list[type[Any]]:
    return [LeakingDeployer]
