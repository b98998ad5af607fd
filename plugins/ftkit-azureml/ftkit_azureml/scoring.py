"""What a deployment is made of beside its bundle: the scoring script with its wheels, and the environment it runs in."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ftkit.bundle import requirements
from ftkit.bundle.bundle import Bundle
from ftkit.contracts import AUTO, NATIVE

SERVER = "azureml-inference-server-http==1.5.1"
"""Microsoft's server, which runs the scoring script."""

CHOSEN_BY_SERVER = (
    "azure-monitor-opentelemetry-exporter",
    "certifi",
    "flask",
    "gunicorn",
    "opentelemetry-api",
    "opentelemetry-sdk",
    "opentelemetry-semantic-conventions",
    "pydantic",
    "pydantic-core",
    "werkzeug",
)
"""Distributions whose versions the server chooses, because it restricts them. Source: its requirements."""

SCRIPT = "score.py"

_SCORE = '''\
"""Answers the requests of a deployment; written by ftkit, for azureml-inference-server-http.

The bundle lies in AZUREML_MODEL_DIR, or beside this folder. Requests and answers are those of ftkit's own server.
"""

{preamble}
import json
import logging
import os

from azureml_inference_server_http.api.aml_request import rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse

import ftkit
from ftkit.disclosure import redact_output
from ftkit.serving.handler import respond
from ftkit.serving.model_host import ModelHost
from ftkit.serving.limits import Limits

host = None


def init():
    """Load the bundle; the server ends with the reason in its log when that fails."""
    global host
    redact_output()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("ftkit").setLevel(logging.INFO)
    logging.getLogger("ftkit").info("ftkit %s from %s", ftkit.__version__, pathlib.Path(ftkit.__file__).parent)
    limits = Limits(**json.loads(os.environ.get("FTKIT_LIMITS", "{{}}")))
    host = ModelHost(_bundle(), limits, os.environ.get("FTKIT_ENGINE", "native"))
    host.load()
    if host.status.state != "ready":
        raise SystemExit(f"the bundle cannot be served: {{host.status.reason}}")


@rawhttp
def run(request):
    """Answer one request."""
    if request.method != "POST":
        return AMLResponse('{{"error": "send a POST request"}}', 405, {{"Content-Type": "application/json"}})
    reply = respond(host, request.get_data(), request.headers)
    return AMLResponse(reply.body, reply.status, {{**reply.headers, "Content-Type": "application/json"}})


def _bundle():
    beside = pathlib.Path(__file__).resolve().parent.parent / "model"
    root = pathlib.Path(os.environ.get("AZUREML_MODEL_DIR") or beside)
    for folder in (root, *sorted(each for each in root.iterdir() if each.is_dir())):
        if (folder / "manifest.json").is_file():
            return folder
    raise SystemExit(f"there is no bundle in {{root}}")
'''


@dataclass(frozen=True)
class Environment:
    """An image, and a conda file that pins everything to one version."""

    image: str
    conda: str

    @property
    def version(self) -> str:
        """The environment's version: the same pins give the same one."""
        return hashlib.sha256(f"{self.image}\n{self.conda}".encode()).hexdigest()[:16]


def conda_environment(image: str, indexes: Sequence[str], pins: Sequence[str]) -> Environment:
    """The environment of an image with this Python and these packages, each at one version."""
    import yaml

    pip = [*(f"--extra-index-url {each}" for each in indexes), *pins]
    conda = {
        "name": "ftkit",
        "channels": ["conda-forge"],
        "dependencies": [f"python={platform.python_version()}", "pip", {"pip": pip}],
    }
    return Environment(image, yaml.safe_dump(conda, sort_keys=False))


@dataclass(frozen=True)
class Needs:
    """What a bundle needs, to be served elsewhere as it is served here."""

    distributions: requirements.Distributions
    image: str
    indexes: tuple[str, ...] = ()

    @property
    def environment(self) -> Environment:
        """The image and the pins."""
        return conda_environment(self.image, self.indexes, [SERVER, *self.distributions.pins])

    def write_code(self, folder: Path) -> None:
        """Write the scoring script, and the wheels of what no index has, into a folder; equal needs give equal files."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SCRIPT).write_text(_SCORE.format(preamble=requirements.PREAMBLE), encoding="utf-8")
        if self.distributions.sources:
            requirements.build(self.distributions.sources, folder / requirements.WHEELS)


def needs(
    bundle: Bundle, image: str, indexes: Sequence[str] = (), engine: str = NATIVE, others: Sequence[str] = ()
) -> Needs:
    """What a bundle needs; `others` are requirements beside those of its backbone.

    Raises: PluginError when the backbone's plugin is not installed, or cannot be taken along.
    """
    from ftkit import plugins

    backbone = plugins.load().find("backbones", bundle.manifest["backbone"]["use"])
    engines = bundle.passed if engine == AUTO else (engine,)
    serving = ["ftkit"] if engines == (NATIVE,) else ["ftkit", "ftkit[engines]"]
    distributions = requirements.needed(
        [*serving, *requirements.owners([backbone]), *others], provided=CHOSEN_BY_SERVER
    )
    return Needs(distributions, image, tuple(indexes))
