"""A folder from which a bundle can be deployed by hand with kubectl."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ftkit.bundle.bundle import Bundle
from ftkit_kserve import manifests
from ftkit_kserve.options import KServeOptions

DEPLOYMENT = "blue"

_README = """\
# {name}

A text classifier that ftkit trained, ready for KServe. Classes: {classes}. Bundle {hash}.

    model/                   the bundle: weights, tokenizer, label names, promotion record
    inferenceservice.yaml    what serves it
    httproute.yaml           where callers reach it, by the Gateway API
    sample_request.json      a request that must be answered

The cluster needs KServe and a Gateway. Before you apply the manifests:

1. Copy the content of model/ to where STORAGE_URI in inferenceservice.yaml points, or change it: pvc, s3, gs, hf and oci are read.
2. Set `image` to an image with ftkit, the plugin of the backbone and what its engine needs; `image: IMAGE` is a placeholder.
3. Set the Gateway and the host in httproute.yaml.

Then, in the namespace of both manifests:

    kubectl create secret generic {secret} --from-literal={entry}="$(openssl rand -base64 32)"
    kubectl apply -f inferenceservice.yaml -f httproute.yaml
    kubectl wait --for=condition=Ready --timeout=15m inferenceservice/{service}

Callers send the key as `Authorization: Bearer KEY`:

    curl http://HOST/score -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' -d @sample_request.json

The Open Inference Protocol is at http://HOST/v2. Another deployment is a second InferenceService; the weights in httproute.yaml divide the
traffic.
"""


def write(bundle: Bundle, folder: Path, engine: str) -> None:
    """Write the folder, which is new or empty."""
    import yaml

    options = KServeOptions(
        endpoint="ftkit-endpoint",
        gateway="default/gateway",
        hostname="ftkit-endpoint.example.org",
        image="IMAGE",
        storage="pvc://models/ftkit",
        mount="model",
        engine=engine,
    )
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(bundle.folder, folder / "model")
    service = manifests.inference_service(options, DEPLOYMENT, bundle.hash)
    route = manifests.route(options, [DEPLOYMENT], {DEPLOYMENT: 100})
    files = {
        "inferenceservice.yaml": yaml.safe_dump(service, sort_keys=False),
        "httproute.yaml": yaml.safe_dump(route, sort_keys=False),
        "sample_request.json": json.dumps(bundle.sample_request, indent=2) + "\n",
        "README.md": _README.format(
            name=bundle.manifest.get("name") or "A model",
            classes=", ".join(bundle.classes),
            hash=bundle.hash[:12],
            secret=manifests.secret_name(options.endpoint),
            entry=manifests.SECRET_ENTRY,
            service=options.service(DEPLOYMENT),
        ),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
