"""A deployment as the SDK describes it: what it needs, its machines and probes, where telemetry goes."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ftkit.bundle.bundle import Bundle
from ftkit.contracts.monitoring import BUNDLE_HASH, DEPLOYMENT, ENDPOINT
from ftkit.errors import PluginError
from ftkit_azureml.assets import BUNDLE, RECORD, record_digest
from ftkit_azureml.options import PROBE, EndpointOptions
from ftkit_azureml.scoring import SCRIPT, Needs, needs

TELEMETRY = re.compile(
    r"APPLICATIONINSIGHTS_CONNECTION_STRING|OTEL_(SDK_DISABLED|(TRACES|LOGS)_EXPORTER|EXPORTER_OTLP_\w+)"
)
"""Variables that say where telemetry goes."""


def needed(options: EndpointOptions, bundle: Bundle) -> Needs:
    """What the bundle needs to be served as these options say. Raises: PluginError."""
    if not options.telemetry:
        return needs(bundle, options.image, options.indexes, options.engine)
    sender = "ftkit-appinsights[otlp]" if any("OTLP" in name for name in telemetry()) else "ftkit-appinsights"
    return needs(bundle, options.image, options.indexes, options.engine, [sender])


def telemetry() -> dict[str, str]:
    """The variables of this process that say where telemetry goes. Raises: PluginError when there are none."""
    variables = {name: value for name, value in os.environ.items() if value and TELEMETRY.fullmatch(name)}
    if not any("CONNECTION" in name or "ENDPOINT" in name for name in variables):
        raise PluginError(
            "telemetry is switched on, but nothing says where it goes",
            where="deploy.telemetry",
            hint="Set APPLICATIONINSIGHTS_CONNECTION_STRING, or OTEL_EXPORTER_OTLP_ENDPOINT, where you deploy.",
        )
    return variables


def deployment(options: EndpointOptions, name: str, bundle: Bundle, model: str, environment: str, code: Path) -> Any:
    """The deployment as the SDK describes it; model and environment by their ids in the workspace."""
    from azure.ai.ml.entities import (
        CodeConfiguration,
        ManagedOnlineDeployment,
        OnlineRequestSettings,
        ProbeSettings,
    )

    probe = ProbeSettings(
        initial_delay=PROBE,
        period=PROBE,
        timeout=math.ceil(options.probe_timeout),
        success_threshold=1,
        failure_threshold=math.ceil(options.startup_timeout / PROBE),
    )
    return ManagedOnlineDeployment(
        name=name,
        endpoint_name=options.endpoint,
        model=model,
        environment=environment,
        code_configuration=CodeConfiguration(code=str(code), scoring_script=SCRIPT),
        instance_type=options.instance_type,
        instance_count=options.instance_count,
        request_settings=OnlineRequestSettings(
            request_timeout_ms=round(options.request_timeout * 1000),
            max_concurrent_requests_per_instance=options.concurrency,
            max_queue_wait_ms=round(options.request_timeout * 1000),
        ),
        liveness_probe=probe,
        readiness_probe=probe,
        environment_variables={
            **options.environment_variables,
            **(telemetry() if options.telemetry else {}),
            ENDPOINT: options.endpoint,
            DEPLOYMENT: name,
            BUNDLE_HASH: bundle.hash,
            "FTKIT_ENGINE": options.engine,
            "FTKIT_LIMITS": json.dumps(asdict(options.limits)),
            "GUNICORN_CMD_ARGS": f"--threads {options.concurrency}",
            "HF_HUB_OFFLINE": "1",
        },
        tags={**options.tags, BUNDLE: bundle.hash, RECORD: record_digest(bundle)},
    )
