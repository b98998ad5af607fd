"""Runs of a workspace as its own services know them: children, metrics and files, with a client's token or with a job's.

The SDK has no public way to a running job's metrics and files. These services have: run history, MLflow's interface for what is logged,
and artifacts.
Source: Microsoft, "Use MLflow REST with Azure Machine Learning"; the addresses are those that azureml-core and azureml-mlflow use.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from ftkit_azure import runs as service_runs

from ftkit.errors import StageError
from ftkit_azureml import refusals
from ftkit_azureml.workspace import Workspace

TIMEOUT = 60.0
AGAIN = (429, 500, 502, 503, 504)
REUSED = "azureml.reusedrunid"
_MLFLOW = "mlflow/v1.0"
_MEND = "Give the same command again: what was finished is kept."


class Services:
    """The services of a workspace's region; `host` answers for them, and `token` gives a bearer token."""

    def __init__(self, host: str, place: Workspace, token: Callable[[], str]) -> None:
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3.util import Retry

        self.place = place
        self._host = host
        self._token = token
        self._session = requests.Session()
        retry = Retry(total=4, backoff_factor=0.5, status_forcelist=AGAIN, allowed_methods=None, raise_on_status=False)
        self._session.mount("https://", HTTPAdapter(max_retries=retry))

    def ask(self, method: str, service: str, path: str, **given: Any) -> Any:
        """What a service answers. Raises: StageError."""
        address = f"https://{self._host}/{service}{_scope(self.place)}/{path}"
        headers = {"Authorization": f"Bearer {self._token()}"}
        return self._answer(method, address, headers=headers, **given).json()

    def download(self, address: str, path: Path) -> None:
        """Write what a signed address leads to. Raises: StageError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._answer("GET", address, stream=True) as answer, path.open("wb") as file:
            for chunk in answer.iter_content(1 << 20):
                file.write(chunk)

    def run(self, name: str) -> Run:
        """A run by its identifier. Raises: StageError."""
        return Run(self, self.ask("GET", "history/v1.0", f"runs/{quote(name)}"))

    def _answer(self, method: str, address: str, **given: Any) -> Any:
        import requests

        where = urlsplit(address).path.rpartition("/workspaces/")[2]
        try:
            answer = self._session.request(method, address, timeout=TIMEOUT, **given)
        except requests.RequestException as error:
            raise StageError(
                f"Azure cannot be reached: {refusals.clean(type(error).__name__)}", where=where, hint=_MEND
            ) from None  # the exception holds whole addresses, signatures included
        if not answer.ok:
            said = refusals.clean(" ".join(answer.text[:300].split()))
            raise StageError(f"Azure refused with status {answer.status_code}: {said}", where=where, hint=_MEND)
        return answer


class Run:
    """One run: what `ftkit_azure.runs.Run` asks for."""

    def __init__(self, services: Services, said: Mapping[str, Any]) -> None:
        self._services = services
        self._said = said
        self._files: dict[str, str] = {}
        self.id: str = said["runId"]
        self.name: str = said.get("displayName") or said.get("name") or self.id
        self.status: str = said["status"]
        self.kind: str = said.get("runType") or ""
        self.properties: Mapping[str, str] = said.get("properties") or {}

    def get_children(self) -> list[Run]:
        """Its own runs."""
        found = self._pages("history/v1.0", f"runs/{quote(self.id)}/children")
        return [Run(self._services, each) for each in found]

    def get_tags(self) -> Mapping[str, str]:
        """Its tags."""
        return self._said.get("tags") or {}

    def get_metrics(self) -> Mapping[str, list[float]]:
        """Everything it has logged, in the order of the steps."""
        asked = self._services.ask("GET", _MLFLOW, "api/2.0/mlflow/runs/get", params={"run_id": self.id})
        names = [each["key"] for each in asked["run"]["data"].get("metrics") or ()]
        return {name: self._curve(name) for name in names}

    def get_file_names(self) -> Sequence[str]:
        """The files that it has left so far."""
        container = quote(self._said.get("dataContainerId") or f"dcid.{self.id}")
        found = self._pages("artifact/v2.0", f"artifacts/prefix/contentinfo/ExperimentRun/{container}/")
        self._files = {each["path"]: each["contentUri"] for each in found}
        return list(self._files)

    def download_file(self, name: str, output_file_path: str) -> None:
        """Write one of the files that were listed last."""
        self._services.download(self._files[name], Path(output_file_path))

    def download_below(self, prefix: str, folder: Path) -> None:
        """Write all files below a folder of the run into another. Raises: StageError when there is none."""
        names = [each for each in self.get_file_names() if each.startswith(f"{prefix}/")]
        if not names:
            raise StageError(f"the run has left nothing in {prefix}", where=self.id, hint=_MEND)
        for name in names:
            self.download_file(name, str(folder / name[len(prefix) + 1 :]))

    def get_details(self) -> Mapping[str, Any]:
        """More about it, its `error` among it."""
        found: Mapping[str, Any] = self._services.ask("GET", "history/v1.0", f"runs/{quote(self.id)}/details")
        return found

    def get_portal_url(self) -> str:
        """Where a person can look at it."""
        return address(self._services.place, self.id)

    def _curve(self, name: str) -> list[float]:
        given = {"run_id": self.id, "metric_key": name}
        asked = self._services.ask("GET", _MLFLOW, "api/2.0/mlflow/metrics/get-history", params=given)
        rows = sorted(asked.get("metrics") or (), key=lambda each: int(each.get("step") or 0))
        return [float(each["value"]) for each in rows]

    def _pages(self, service: str, path: str) -> Iterator[dict[str, Any]]:
        token: str | None = None
        while True:
            given = {"params": {"continuationToken": token}} if token else {}
            asked = self._services.ask("GET", service, path, **given)
            yield from asked.get("value") or ()
            token = asked.get("continuationToken")
            if not token:
                return


def log(services: Services, run: str, numbers: Mapping[str, float], step: int) -> None:
    """Log numbers of a run, all at once. Raises: StageError."""
    moment = int(time.time() * 1000)
    listed = [{"key": name, "value": value, "timestamp": moment, "step": step} for name, value in numbers.items()]
    services.ask("POST", _MLFLOW, "api/2.0/mlflow/runs/log-batch", json={"run_id": run, "metrics": listed})


def search_of(step: service_runs.Run) -> Run | None:
    """The run whose children are the trials: the step itself, or its own search where the service has put one between."""
    assert isinstance(step, Run)
    if REUSED in step.properties:
        step = step._services.run(step.properties[REUSED])
    if step.kind.lower().startswith(("hyperdrive", "sweep")):
        return step
    return next((each for each in step.get_children() if each.kind.lower().startswith(("hyperdrive", "sweep"))), None)


def address(place: Workspace, run: str) -> str:
    """Where a person can look at a run."""
    return f"https://ml.azure.com/runs/{quote(run)}?wsid={_scope(place)}"


def host_of(discovery: str) -> str:
    """The host name of a workspace's services, from the address where it tells of them."""
    return re.sub(r"^https?://", "", discovery).partition("/")[0]


def _scope(place: Workspace) -> str:
    return (
        f"/subscriptions/{place.subscription}/resourceGroups/{place.resource_group}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{place.name}"
    )
