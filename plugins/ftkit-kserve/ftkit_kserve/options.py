"""The recipe options of an endpoint on KServe."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ftkit.serving.limits import ServerOptions

SCHEMES = ("pvc", "s3", "gs", "https", "hdfs", "webhdfs", "hf", "oci")
"""What KServe reads models from. Source: its storage initializer, 0.20."""
TAGGED = ("hf", "oci")
"""Those where a bundle is a revision or a tag of one repository, and no folder below a path."""
HASH = 16
"""Digits of a bundle's hash in the place where it is stored."""
LONGEST = 53
"""Letters of an InferenceService's name: with `-predictor` it names a Service, and those have 63 at most."""
FIRST = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class KServeOptions(ServerOptions):
    """Which cluster, where callers reach it, how bundles get there, and what a deployment may use."""

    endpoint: str
    """Name of the endpoint: of its route, and the first part of the names of its InferenceServices."""
    gateway: str
    """The Gateway of the Gateway API that callers reach the endpoint through, as NAMESPACE/NAME."""
    hostname: str
    """The host that callers ask for: the Gateway sends it to this endpoint."""
    image: str
    """The image that serves: with ftkit, the plugin of the backbone, and what its engines need. Pin it by a tag or digest."""
    storage: str
    """Where the cluster reads bundles, by a scheme of KServe: `pvc://CLAIM/PATH`, `s3://BUCKET/PATH`, `gs://…`, `hf://ORG/REPOSITORY`, `oci://…`.
    Each deployment is a folder below it, or with hf and oci a revision."""
    mount: str = ""
    """A folder of this machine that is `storage`, such as the claim or the bucket mounted here: bundles are copied there."""
    upload: tuple[str, ...] = ()
    """In place of `mount`, the command that copies a bundle, with `{folder}` and `{uri}`: `["aws", "s3", "sync", "{folder}", "{uri}"]`."""
    url: str = ""
    """Where this machine reaches the Gateway; by default `http://` and `hostname`."""
    namespace: str = "default"
    """The namespace of the endpoint; it must exist."""
    context: str | None = None
    """The context of the kubeconfig; by default its current one, or inside a cluster the pod's own credentials."""
    service_account: str = ""
    """The account of the pods, where the storage asks for credentials."""
    replicas: int = 1
    """Pods of each deployment."""
    cpus: float = 1.0
    """Cores of a pod; its matrix products use as many threads."""
    memory: str = "2Gi"
    """Memory of a pod."""
    gpus: int = 0
    """GPUs of a pod, by the resource nvidia.com/gpu."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Further environment variables of the pods. No place for secrets: a recipe goes into every bundle."""
    request_timeout: float = 60.0
    """Seconds within which a request must be answered, and a deployment that is removed drained."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in ("endpoint", "namespace"):
            check_label(getattr(self, option), option, LONGEST - 20)
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9.-]*", self.gateway):
            raise ValueError(f"gateway must be NAMESPACE/NAME, not {self.gateway[:60]!r}")
        if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", self.hostname):
            raise ValueError(f"hostname must be a host such as reviews.example.org, not {self.hostname[:60]!r}")
        if not self.image.strip() or re.search(r"\s", self.image):
            raise ValueError("image must name an image")
        if self.url and (urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).netloc):
            raise ValueError(f"url must begin with http:// or https://, not {self.url[:60]!r}")
        self._check_storage()
        for option in ("replicas", "cpus", "request_timeout"):
            if getattr(self, option) <= 0:
                raise ValueError(f"{option} must be positive")
        if self.gpus < 0:
            raise ValueError("gpus must not be negative")
        if not re.fullmatch(r"[0-9.]+([EPTGMk]i?|m)?", self.memory):
            raise ValueError(f"memory must be an amount such as 2Gi, not {self.memory[:60]!r}")

    def _check_storage(self) -> None:
        scheme = urlsplit(self.storage).scheme
        if scheme not in SCHEMES or not urlsplit(self.storage).netloc:
            known = ", ".join(f"{each}://" for each in SCHEMES)
            raise ValueError(f"storage must begin with one of {known}, not {self.storage[:60]!r}")
        if bool(self.mount) == bool(self.upload):
            raise ValueError("set either mount or upload, so that bundles get to the storage")
        if self.mount and scheme in TAGGED:
            raise ValueError(f"{scheme}:// is no folder that could be mounted here: set upload")
        if self.upload and not any("{uri}" in part for part in self.upload):
            raise ValueError('upload must say where to: "{uri}"')

    @property
    def address(self) -> str:
        """Where this machine reaches the Gateway, without a slash at the end."""
        return (self.url or f"http://{self.hostname}").rstrip("/")

    def service(self, deployment: str) -> str:
        """The name of a deployment's InferenceService."""
        return f"{self.endpoint}-{deployment}"

    def uri(self, deployment: str, bundle_hash: str) -> str:
        """Where the cluster reads the bundle of a deployment: two bundles of one name, by two clients at once, have two places."""
        if urlsplit(self.storage).scheme in TAGGED:
            return f"{self.storage}:{deployment}-{bundle_hash[:HASH]}"
        return f"{self.storage.rstrip('/')}/{self.endpoint}/{deployment}/{bundle_hash[:HASH]}"


def check_label(name: str, what: str, longest: int) -> None:
    """Raises: ValueError for a name that Kubernetes would not take. Source: RFC 1035, labels; KServe's validation of names."""
    if not FIRST.fullmatch(name) or len(name) > longest:
        raise ValueError(
            f"{what} {name[:60]!r} is no name in Kubernetes: use at most {longest} lower-case letters, digits and dashes, a letter first "
            "and no dash last"
        )
