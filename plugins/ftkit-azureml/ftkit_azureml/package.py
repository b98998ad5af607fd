"""A folder from which a bundle can be deployed by hand, or served with azureml-inference-server-http on any machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ftkit.bundle.bundle import Bundle
from ftkit.contracts import NATIVE
from ftkit_azureml.assets import BUNDLE
from ftkit_azureml.options import PROBE
from ftkit_azureml.scoring import SCRIPT, SERVER, Needs

_README = """\
# {name}

A text classifier that ftkit trained, ready to be deployed. Classes: {classes}. Bundle {hash}.

    code/score.py          the scoring script; code/wheels/ holds what no package index has
    model/                 the bundle: weights, tokenizer, label names, promotion record
    conda.yml              the environment, everything pinned to one version
    requirements.txt       the same for pip
    endpoint.yml           an endpoint, for the `az` command
    deployment.yml         a deployment of it
    sample_request.json    a request that must be answered

## On Azure

Choose an endpoint name that nobody in your region has, in both files, and then:

    az ml online-endpoint create --file endpoint.yml
    az ml online-deployment create --file deployment.yml
    az ml online-endpoint invoke --name {endpoint} --deployment-name blue --request-file sample_request.json
    az ml online-endpoint update --name {endpoint} --traffic "blue=100"

## On this machine

With Python {python}, in this folder:

    python -m venv venv && venv/bin/pip install -r requirements.txt
    AML_APP_ROOT=code AZUREML_ENTRY_SCRIPT={script} AZUREML_MODEL_DIR=model \\
      venv/bin/gunicorn --bind 127.0.0.1:5001 azureml_inference_server_http.server.entry:app

    curl -sS http://127.0.0.1:5001/score -H 'Content-Type: application/json' -d @sample_request.json
"""


def write(bundle: Bundle, needed: Needs, folder: Path, engine: str = NATIVE) -> None:
    """Write the folder, which is new or empty."""
    import platform

    import yaml

    folder.mkdir(parents=True, exist_ok=True)
    needed.write_code(folder / "code")
    shutil.copytree(bundle.folder, folder / "model")
    endpoint = "ftkit-endpoint"
    pins = [*(f"--extra-index-url {each}" for each in needed.indexes), SERVER, *needed.distributions.pins]
    files = {
        "conda.yml": needed.environment.conda,
        "requirements.txt": "\n".join([*pins, ""]),
        "endpoint.yml": yaml.safe_dump(_endpoint(endpoint), sort_keys=False),
        "deployment.yml": yaml.safe_dump(_deployment(endpoint, bundle, needed, engine), sort_keys=False),
        "sample_request.json": json.dumps(bundle.sample_request, indent=2) + "\n",
        "README.md": _README.format(
            name=bundle.manifest.get("name") or "A model",
            classes=", ".join(bundle.classes),
            hash=bundle.hash[:12],
            endpoint=endpoint,
            script=SCRIPT,
            python=platform.python_version(),
        ),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def _endpoint(name: str) -> dict[str, Any]:
    schema = "https://azuremlschemas.azureedge.net/latest/managedOnlineEndpoint.schema.json"
    return {"$schema": schema, "name": name, "auth_mode": "key"}


def _deployment(endpoint: str, bundle: Bundle, needed: Needs, engine: str) -> dict[str, Any]:
    probe = {"initial_delay": PROBE, "period": PROBE, "timeout": 30, "success_threshold": 1, "failure_threshold": 90}
    return {
        "$schema": "https://azuremlschemas.azureedge.net/latest/managedOnlineDeployment.schema.json",
        "name": "blue",
        "endpoint_name": endpoint,
        "model": {"path": "model", "type": "custom_model"},
        "code_configuration": {"code": "code", "scoring_script": SCRIPT},
        "environment": {"image": needed.image, "conda_file": "conda.yml"},
        "environment_variables": {"FTKIT_ENGINE": engine, "GUNICORN_CMD_ARGS": "--threads 8"},
        "instance_type": "Standard_DS3_v2",
        "instance_count": 1,
        "request_settings": {
            "request_timeout_ms": 60000,
            "max_concurrent_requests_per_instance": 8,
            "max_queue_wait_ms": 60000,
        },
        "liveness_probe": probe,
        "readiness_probe": probe,
        "tags": {BUNDLE: bundle.hash},
    }
