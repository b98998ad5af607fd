"""Runs of a workspace as its own services know them: children, metrics and files, with the token of a client or of a job.

The SDK has no public way to the metrics and files of a running job. These services have: run history, MLflow's interface for what is
logged, and artifacts.
Source: Microsoft, "Use MLflow REST with Azure Machine Learning"; the addresses are those that azureml-core and azureml-mlflow use.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from ftkit_azure import refusals
from ftkit_azure import runs as shared
from ftkit_azure.workspace import Workspace

from ftkit.errors import StageError
from ftkit.redaction import redacted

TIMEOUT = 60.0
REUSED = "azureml.reusedrunid"
_MLFLOW = "mlflow/v1.0"


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
        retry = Retry(
            total=4,
            backoff_factor=0.5,
            status_forcelist=refusals.TRANSIENT,
            allowed_methods=None,
            raise_on_status=False,
        )
        self._session.mount("https://", HTTPAdapter(max_retries=retry))

    def request(self, method: str, service: str, path: str, **options: Any) -> Any:
        """What a service answers. Raises: StageError."""
        address = f"https://{self._host}/{service}{self.place.id}/{path}"
        headers = {"Authorization": f"Bearer {self._token()}"}
        return self._answer(method, address, headers=headers, **options).json()

    def download(self, address: str, path: Path) -> None:
        """Write what a signed address leads to. Raises: StageError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._answer("GET", address, stream=True) as answer, path.open("wb") as file:
            for chunk in answer.iter_content(1 << 20):
                file.write(chunk)

    def run(self, name: str) -> Run:
        """A run by its identifier, as it stands now. Raises: StageError."""
        return Run(self, self.request("GET", "history/v1.0", f"runs/{quote(name)}"))

    def named(self, name: str) -> Run:
        """A run by its identifier, without a request: its children and files can be asked for."""
        return Run(self, {"runId": name, "status": ""})

    def _answer(self, method: str, address: str, **options: Any) -> Any:
        import requests

        where = urlsplit(address).path.rpartition("/workspaces/")[2]
        try:
            answer = self._session.request(method, address, timeout=TIMEOUT, **options)
        except requests.RequestException as error:
            kind = type(error).__name__  # the exception holds whole addresses, signatures included
            raise StageError(f"Azure cannot be reached: {kind}", where=where, hint=refusals.AGAIN) from None
        if not answer.ok:
            message = redacted(" ".join(answer.text[:20_000].split()))[:300]
            refused = requests.HTTPError(message, response=answer)
            raise refusals.as_error(
                refused, StageError, where, f"status {answer.status_code}", refusals.AGAIN
            ) from refused
        return answer


class Run:
    """What `ftkit_azure.runs.Run` needs."""

    def __init__(self, services: Services, facts: Mapping[str, Any]) -> None:
        self._services = services
        self._facts = facts
        self._files: dict[str, str] = {}
        self.id: str = facts["runId"]
        self.name: str = facts.get("displayName") or facts.get("name") or self.id
        self.status: str = facts["status"]
        self.kind: str = facts.get("runType") or ""
        self.properties: Mapping[str, str] = facts.get("properties") or {}

    def get_children(self) -> list[Run]:
        """The runs that it has started."""
        children = self._pages("history/v1.0", f"runs/{quote(self.id)}/children")
        return [Run(self._services, each) for each in children]

    def get_tags(self) -> Mapping[str, str]:
        """Its tags."""
        return self._facts.get("tags") or {}

    def get_metrics(self) -> Mapping[str, list[float]]:
        """All metrics it has logged, in the order of the steps."""
        answer = self._services.request("GET", _MLFLOW, "api/2.0/mlflow/runs/get", params={"run_id": self.id})
        names = [each["key"] for each in answer["run"]["data"].get("metrics") or ()]
        return {name: self._curve(name) for name in names}

    def get_file_names(self) -> Sequence[str]:
        """The files that it has uploaded so far."""
        container = quote(self._facts.get("dataContainerId") or f"dcid.{self.id}")
        listed = self._pages("artifact/v2.0", f"artifacts/prefix/contentinfo/ExperimentRun/{container}/")
        self._files = {each["path"]: each["contentUri"] for each in listed}
        return list(self._files)

    def download_file(self, name: str, output_file_path: str) -> None:
        """Write one of the files that were listed last."""
        self._services.download(self._files[name], Path(output_file_path))

    def download_below(self, prefix: str, folder: Path) -> None:
        """Write all files below a folder of the run into another. Raises: StageError when there is none."""
        names = [each for each in self.get_file_names() if each.startswith(f"{prefix}/")]
        if not names:
            raise StageError(f"the run has left nothing in {prefix}", where=self.id, hint=refusals.AGAIN)
        for name in names:
            self.download_file(name, str(folder / name[len(prefix) + 1 :]))

    def get_details(self) -> Mapping[str, Any]:
        """Further facts; `error` holds why it failed."""
        details: Mapping[str, Any] = self._services.request("GET", "history/v1.0", f"runs/{quote(self.id)}/details")
        return details

    def get_portal_url(self) -> str:
        """The address of its page."""
        return address(self._services.place, self.id)

    def _curve(self, name: str) -> list[float]:
        query = {"run_id": self.id, "metric_key": name}
        answer = self._services.request("GET", _MLFLOW, "api/2.0/mlflow/metrics/get-history", params=query)
        rows = sorted(answer.get("metrics") or (), key=lambda each: int(each.get("step") or 0))
        return [float(each["value"]) for each in rows]

    def _pages(self, service: str, path: str) -> Iterator[dict[str, Any]]:
        token: str | None = None
        while True:
            query = {"params": {"continuationToken": token}} if token else {}
            answer = self._services.request("GET", service, path, **query)
            yield from answer.get("value") or ()
            token = answer.get("continuationToken")
            if not token:
                return


def log(services: Services, run: str, numbers: Mapping[str, float], step: int) -> None:
    """Log numbers of a run, all at once. Raises: StageError."""
    moment = int(time.time() * 1000)
    metrics = [{"key": name, "value": value, "timestamp": moment, "step": step} for name, value in numbers.items()]
    services.request("POST", _MLFLOW, "api/2.0/mlflow/runs/log-batch", json={"run_id": run, "metrics": metrics})


def search_run(step: shared.Run) -> Run | None:
    """The run whose children are the trials: the step itself, or the search that it has started; None while there is none."""
    assert isinstance(step, Run)
    if REUSED in step.properties:
        step = step._services.run(step.properties[REUSED])
    if step.kind.lower().startswith(("hyperdrive", "sweep")):
        return step
    return next((each for each in step.get_children() if each.kind.lower().startswith(("hyperdrive", "sweep"))), None)


def address(place: Workspace, run: str) -> str:
    """The address of a run's page."""
    return f"https://ml.azure.com/runs/{quote(run)}?wsid={place.id}"


def host_of(discovery: str) -> str:
    """The host name of a workspace's services, from the address of its discovery."""
    return re.sub(r"^https?://", "", discovery).partition("/")[0]
