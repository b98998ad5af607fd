"""What the cluster is told: an InferenceService for each deployment, one route that divides the traffic, and the key's Secret.

A deployment is an InferenceService of its own, in KServe's mode without Knative; the route has a rule for each, which a header chooses, and
a last rule with the shares as weights. KServe's own canaries divide the traffic of one service between its stable model and newer ones; they
cannot express a first model without traffic, or one that is removed while the others stay as they are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ftkit.contracts.monitoring import BUNDLE_HASH, DEPLOYMENT, ENDPOINT
from ftkit.serving.http_client import PIN
from ftkit.serving.standalone import ENGINE, KEY, LIMITS, PORT
from ftkit_kserve.options import KServeOptions

OF_ENDPOINT = "ftkit/endpoint"
OF_DEPLOYMENT = "ftkit/deployment"
BUNDLE = "ftkit/bundle"
"""Annotation with the hash of a bundle, which is too long for a label."""
CONTAINER = "kserve-container"
"""What KServe calls the container that answers."""
MODELS = "/mnt/models"
"""Where KServe puts what is at STORAGE_URI. Source: pkg/constants of KServe."""
SECRET_ENTRY = "key"  # noqa: S105  the name of the entry
MOST = 15
"""Deployments of an endpoint: a route has at most 16 rules. Source: Gateway API, HTTPRouteSpec."""
DRAIN = 5
"""Seconds that a pod goes on answering after it was told to end, until the gateway sends it nothing more."""


def secret_name(endpoint: str) -> str:
    """The name of the Secret with the endpoint's key."""
    return f"{endpoint}-key"


def labels(endpoint: str, deployment: str = "") -> dict[str, str]:
    """The labels of everything that belongs to an endpoint, or to one deployment of it."""
    of_deployment = {OF_DEPLOYMENT: deployment} if deployment else {}
    return {"app.kubernetes.io/managed-by": "ftkit", OF_ENDPOINT: endpoint, **of_deployment}


def inference_service(options: KServeOptions, deployment: str, bundle_hash: str) -> dict[str, Any]:
    """The InferenceService of a deployment."""
    variables = {
        **options.environment,
        "STORAGE_URI": options.uri(deployment, bundle_hash),
        ENDPOINT: options.endpoint,
        DEPLOYMENT: deployment,
        BUNDLE_HASH: bundle_hash,
        ENGINE: options.engine,
        LIMITS: json.dumps({**asdict(options.limits), "seconds": options.request_timeout / 2}),
        "OMP_NUM_THREADS": str(max(1, math.floor(options.cpus))),
        "FTKIT_HOME": "/tmp/ftkit",  # noqa: S108  of the container
        "FTKIT_CACHE": "/tmp/ftkit/cache",  # noqa: S108
    }
    key = {"name": KEY, "valueFrom": {"secretKeyRef": {"name": secret_name(options.endpoint), "key": SECRET_ENTRY}}}
    resources = {
        "cpu": f"{round(options.cpus * 1000)}m",
        "memory": options.memory,
        **({"nvidia.com/gpu": str(options.gpus)} if options.gpus else {}),
    }
    predictor = {
        "minReplicas": options.replicas,
        "maxReplicas": options.replicas,
        **({"serviceAccountName": options.service_account} if options.service_account else {}),
        "terminationGracePeriodSeconds": math.ceil(options.request_timeout) + 2 * DRAIN,
        "containers": [
            {
                "name": CONTAINER,
                "image": options.image,
                "command": ["python", "-m", "ftkit.serving.standalone", MODELS, "--port", str(PORT)],
                "ports": [{"containerPort": PORT, "protocol": "TCP"}],
                "env": [*({"name": name, "value": value} for name, value in variables.items()), key],
                "readinessProbe": _probe("/v2/health/ready", 3),
                "livenessProbe": _probe("/v2/health/live", 12),
                "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(DRAIN)]}}},
                "resources": {"requests": resources, "limits": resources},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
            }
        ],
    }
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": options.service(deployment),
            "namespace": options.namespace,
            # Callers come through the endpoint's route; KServe need not make one for each deployment.
            "labels": {**labels(options.endpoint, deployment), "networking.kserve.io/visibility": "cluster-local"},
            # What KServe calls Standard since 0.16; it still takes this name, and older releases take no other.
            "annotations": {"serving.kserve.io/deploymentMode": "RawDeployment", BUNDLE: bundle_hash},
        },
        "spec": {"predictor": predictor},
    }


def route(options: KServeOptions, deployments: Iterable[str], shares: Mapping[str, int]) -> dict[str, Any]:
    """The route of an endpoint: each deployment by the header, everybody else by the shares."""
    namespace, gateway = options.gateway.split("/")
    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": namespace, "name": gateway}
    pinned = [_rule([_backend(options, each, 1)], each) for each in sorted(deployments)]
    live = _rule([_backend(options, name, share) for name, share in sorted(shares.items()) if share])
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": options.endpoint,
            "namespace": options.namespace,
            "labels": labels(options.endpoint),
        },
        "spec": {"parentRefs": [parent], "hostnames": [options.hostname], "rules": [*pinned, live]},
    }


def traffic(options: KServeOptions, found: Mapping[str, Any]) -> dict[str, int]:
    """The shares that a route has; those of nobody are left out."""
    for rule in found["spec"].get("rules", []):
        if any(match.get("headers") for match in rule.get("matches", [])):
            continue
        backends = {each["name"]: int(each.get("weight", 1)) for each in rule.get("backendRefs", [])}
        start, end = f"{options.endpoint}-", "-predictor"
        return {name.removeprefix(start).removesuffix(end): share for name, share in backends.items() if share}
    return {}


def pinned(found: Mapping[str, Any]) -> list[str]:
    """The deployments that a route sends requests to by the header."""
    matches = (match for rule in found["spec"].get("rules", []) for match in rule.get("matches", []))
    headers = (header for match in matches for header in match.get("headers", []))
    return [header["value"] for header in headers if header["name"].lower() == PIN]


def secret(options: KServeOptions, key: str) -> dict[str, Any]:
    """The Secret with the key that callers must send."""
    metadata = {
        "name": secret_name(options.endpoint),
        "namespace": options.namespace,
        "labels": labels(options.endpoint),
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": "Opaque",
        "stringData": {SECRET_ENTRY: key},
    }


def _backend(options: KServeOptions, deployment: str, weight: int) -> dict[str, Any]:
    return {"kind": "Service", "name": f"{options.service(deployment)}-predictor", "port": 80, "weight": weight}


def _rule(backends: list[dict[str, Any]], deployment: str = "") -> dict[str, Any]:
    match: dict[str, Any] = {"path": {"type": "PathPrefix", "value": "/"}}
    if deployment:
        match["headers"] = [{"type": "Exact", "name": PIN, "value": deployment}]
    return {"matches": [match], **({"backendRefs": backends} if backends else {})}


def _probe(path: str, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": PORT},
        "periodSeconds": 5,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }
