"""What the cluster is told: options in their places, no secret, and nothing that the published schemas do not know."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ftkit_kserve import manifests, storage
from ftkit_kserve.deployer import KServe

from ftkit.bundle import bundle as bundles
from ftkit.contracts import Packaging, capable
from ftkit.errors import DeployError
from ftkit.testing.bundles import toy_bundle

CRDS = "FTKIT_CRDS"
OPTIONS: dict[str, Any] = {
    "endpoint": "reviews",
    "gateway": "gateways/public",
    "hostname": "reviews.example.org",
    "image": "registry.example.org/ftkit:1",
    "storage": "pvc://models/ftkit",
    "mount": "/mnt/models",
}
FULL = KServe(
    **OPTIONS
    | {"namespace": "models", "service_account": "reader", "replicas": 2, "cpus": 1.5, "memory": "4Gi", "gpus": 1},
    environment={"HF_HOME": "/tmp/hf"},
)


# --------------------------------------------------------------------------------------------- manifests


def test_the_service_has_the_options_of_the_recipe() -> None:
    service = manifests.inference_service(FULL, "v1-20260101-120000", "ab" * 32)
    predictor = service["spec"]["predictor"]
    container = predictor["containers"][0]
    assert service["metadata"]["name"] == "reviews-v1-20260101-120000"
    assert service["metadata"]["namespace"] == "models"
    assert service["metadata"]["annotations"][manifests.BUNDLE] == "ab" * 32
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (2, 2)
    assert predictor["serviceAccountName"] == "reader"
    assert container["resources"]["limits"] == {"cpu": "1500m", "memory": "4Gi", "nvidia.com/gpu": "1"}
    variables = {each["name"]: each.get("value") for each in container["env"]}
    assert variables["STORAGE_URI"] == "pvc://models/ftkit/reviews/v1-20260101-120000/" + "ab" * 8
    assert variables["FTKIT_BUNDLE"] == "ab" * 32
    assert variables["HF_HOME"] == "/tmp/hf"
    assert variables["OMP_NUM_THREADS"] == "1"
    assert json.loads(variables["FTKIT_LIMITS"])["rows"] == FULL.max_rows


def test_the_key_is_a_reference_to_the_secret() -> None:
    service = manifests.inference_service(FULL, "blue", "ab" * 32)
    key = next(each for each in service["spec"]["predictor"]["containers"][0]["env"] if each["name"] == "FTKIT_KEY")
    assert key == {"name": "FTKIT_KEY", "valueFrom": {"secretKeyRef": {"name": "reviews-key", "key": "key"}}}


def test_a_route_says_which_deployments_and_shares_it_has() -> None:
    route = manifests.route(FULL, ["green", "blue"], {"blue": 75, "green": 25, "old": 0})
    assert manifests.pinned(route) == ["blue", "green"]
    assert manifests.traffic(FULL, route) == {"blue": 75, "green": 25}
    nobody = manifests.route(FULL, [], {})
    assert (manifests.pinned(nobody), manifests.traffic(FULL, nobody)) == ([], {})


def test_every_manifest_is_what_the_published_schemas_allow(tmp_path: Path) -> None:
    schemas = _schemas()
    jsonschema = pytest.importorskip("jsonschema")
    plain = KServe(**OPTIONS)
    made = [
        *(manifests.inference_service(each, "blue", "ab" * 32) for each in (FULL, plain)),
        manifests.route(FULL, ["blue", "green"], {"blue": 75, "green": 25}),
        manifests.route(plain, [], {}),
        manifests.route(plain, [f"d{number}" for number in range(manifests.MOST)], {"d0": 100}),
    ]
    for manifest in made:
        schema = schemas[manifest["kind"], manifest["apiVersion"].split("/")[1]]
        jsonschema.validate(manifest, schema)
        wrong = json.loads(json.dumps(manifest))
        wrong["spec"]["unknown"] = 1
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
    names = [f"d{number}" for number in range(manifests.MOST + 1)]
    with pytest.raises(jsonschema.ValidationError):  # one more does not fit
        jsonschema.validate(manifests.route(plain, names, {"d0": 100}), schemas["HTTPRoute", "v1"])


def _schemas() -> dict[tuple[str, str], dict[str, Any]]:
    """The schemas of all kinds by kind and version, of the folder that FTKIT_CRDS names or of the package kserve."""
    package = importlib.util.find_spec("kserve")
    packaged = Path(package.origin).parent if package and package.origin else None
    folders = [Path(each) for each in (os.environ.get(CRDS), packaged) if each]
    crds = [
        crd
        for folder in folders
        for path in sorted(folder.rglob("*.yaml"))
        for crd in yaml.safe_load_all(path.read_text(encoding="utf-8"))
        if isinstance(crd, dict) and crd.get("kind") == "CustomResourceDefinition"
    ]
    schemas = {
        (crd["spec"]["names"]["kind"], version["name"]): _closed(version["schema"]["openAPIV3Schema"])
        for crd in crds
        for version in crd["spec"]["versions"]
    }
    if not {("InferenceService", "v1beta1"), ("HTTPRoute", "v1")} <= set(schemas):
        pytest.skip(f"{CRDS} names no folder with the schemas of KServe and of the Gateway API, and none is installed")
    return schemas


def _closed(schema: Any, root: bool = True) -> Any:
    """A schema that refuses what the API server would drop: names that it does not know."""
    if isinstance(schema, list):
        return [_closed(each, root=False) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value, root=False) for key, value in schema.items()}
    if "properties" in schema and "type" in schema and isinstance(schema["properties"], dict):
        closed["properties"] = {name: _closed(each, root=False) for name, each in schema["properties"].items()}
        keeps = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
        if not keeps:
            closed["additionalProperties"] = False
        if root:
            closed["properties"]["metadata"] = {"type": "object"}
    return closed


# ------------------------------------------------------------------------------------------------ export


def test_a_run_is_exported_for_kubectl(tmp_path: Path) -> None:
    bundle = toy_bundle(tmp_path / "bundle")
    assert capable(FULL, Packaging)
    KServe.package(bundle.folder, tmp_path / "out", "native")
    assert bundles.verify(tmp_path / "out" / "model").hash == bundle.hash
    service = yaml.safe_load((tmp_path / "out" / "inferenceservice.yaml").read_text())
    assert service["metadata"]["annotations"][manifests.BUNDLE] == bundle.hash
    route = yaml.safe_load((tmp_path / "out" / "httproute.yaml").read_text())
    assert [each["weight"] for each in route["spec"]["rules"][-1]["backendRefs"]] == [100]
    readme = (tmp_path / "out" / "README.md").read_text()
    assert service["metadata"]["name"] in readme
    assert "bad, good" in readme
    assert json.loads((tmp_path / "out" / "sample_request.json").read_text()) == bundle.sample_request


# ----------------------------------------------------------------------------------------------- storage


def test_a_command_brings_the_bundle(tmp_path: Path) -> None:
    copy = [sys.executable, "-c", "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2])"]
    options = KServe(
        **OPTIONS
        | {"mount": "", "storage": "oci://registry/reviews", "upload": (*copy, "{folder}", f"{tmp_path}/{{uri}}")}
    )
    bundle = toy_bundle(tmp_path / "bundle")
    storage.store(options, "blue", bundle)
    assert bundles.verify(tmp_path / f"oci:/registry/reviews:blue-{bundle.hash[:16]}").hash == bundle.hash


def test_two_clients_that_create_one_deployment_at_once_have_a_place_each(tmp_path: Path) -> None:
    (tmp_path / "mount").mkdir()
    options = KServe(**OPTIONS | {"mount": str(tmp_path / "mount")})
    one, other = toy_bundle(tmp_path / "one"), toy_bundle(tmp_path / "other", classes=("poor", "fine"))
    assert one.hash != other.hash
    for each in (one, other, one):
        storage.store(options, "blue", each)
    places = [options.uri("blue", each.hash).removeprefix("pvc://models/ftkit/") for each in (one, other)]
    assert [bundles.verify(tmp_path / "mount" / place).hash for place in places] == [one.hash, other.hash]


def test_a_damaged_copy_of_a_killed_attempt_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "mount").mkdir()
    options = KServe(**OPTIONS | {"mount": str(tmp_path / "mount")})
    bundle = toy_bundle(tmp_path / "bundle")
    storage.store(options, "blue", bundle)
    place = tmp_path / "mount" / "reviews" / "blue" / bundle.hash[:16]
    (place / "model" / "weights.npy").write_bytes(b"")
    storage.store(options, "blue", bundle)
    assert bundles.verify(place).hash == bundle.hash


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"mount": "", "upload": ("no-such-program", "{uri}")}, "there is no command 'no-such-program'"),
        ({"mount": "", "upload": ("sh", "-c", "echo no rights >&2; exit 3", "{uri}")}, "exit code 3: no rights"),
        ({"mount": "/no/such/folder"}, "the folder of the storage is not there"),
    ],
)
def test_a_bundle_that_does_not_get_there_is_told(tmp_path: Path, options: dict[str, Any], what: str) -> None:
    with pytest.raises(DeployError, match=what) as failed:
        storage.store(KServe(**OPTIONS | options), "blue", toy_bundle(tmp_path / "bundle"))
    assert failed.value.hint


def test_a_copy_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "mount").mkdir()
    bundle = toy_bundle(tmp_path / "bundle")
    (bundle.folder / "dangling").symlink_to("nowhere")
    options = KServe(**OPTIONS | {"mount": str(tmp_path / "mount")})
    with pytest.raises(DeployError, match="cannot be copied"):
        storage.store(options, "blue", bundle)
    assert not list((tmp_path / "mount" / "reviews").glob("blue/*"))


# ----------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"endpoint": "Reviews"}, "endpoint"),
        ({"endpoint": "r" * 34}, "endpoint"),
        ({"namespace": "a/b"}, "namespace"),
        ({"gateway": "public"}, "NAMESPACE/NAME"),
        ({"hostname": "http://x"}, "hostname"),
        ({"image": ""}, "image"),
        ({"storage": "/models"}, "storage must begin with"),
        ({"storage": "ftp://models"}, "storage must begin with"),
        ({"mount": ""}, "either mount or upload"),
        ({"upload": ("cp", "{uri}")}, "either mount or upload"),
        ({"storage": "hf://org/name"}, "no folder"),
        ({"mount": "", "upload": ("cp",)}, "uri"),
        ({"url": "reviews.example.org"}, "http://"),
        ({"replicas": 0}, "replicas"),
        ({"cpus": 0}, "cpus"),
        ({"gpus": -1}, "gpus"),
        ({"memory": "much"}, "memory"),
        ({"request_timeout": 0}, "request_timeout"),
    ],
)
def test_options_that_no_cluster_takes_are_refused(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        KServe(**OPTIONS | options)


def test_no_client_is_loaded_to_read_a_recipe() -> None:
    code = "import sys, ftkit_kserve; sys.exit(any(each in sys.modules for each in ('kubernetes', 'yaml', 'urllib3')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
