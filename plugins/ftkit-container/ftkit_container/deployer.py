"""Containers on this machine as a deployment target, behind the front of the local endpoint."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from ftkit_local.deployer import LocalDeployer
from ftkit_local.endpoint.folder import SOCKET, Entry

from ftkit.bundle.bundle import verify
from ftkit.contracts import NATIVE, Endpoint
from ftkit.contracts.monitoring import BUNDLE_HASH, DEPLOYMENT, ENDPOINT
from ftkit.errors import DeployError
from ftkit.serving import endpoint_files
from ftkit_container import engine as engines

if TYPE_CHECKING:
    from ftkit.contracts import Data

INSIDE = "/run/ftkit"
"""The folder of the server's socket in the container."""
PASSED = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "TOKENIZERS_PARALLELISM",
    "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_",
    "PYTHONFAULTHANDLER", "PYTHONUNBUFFERED", "HF_HUB_OFFLINE", DEPLOYMENT, ENDPOINT, BUNDLE_HASH,
)  # fmt: skip
"""The variables of a server that its container gets: no secret is among them."""


@dataclass(frozen=True, kw_only=True)
class ContainerDeployer(LocalDeployer):
    """Containers on this machine: an image of each deployment, run by docker or podman, without a network of its own, behind one front."""

    name: ClassVar[str] = "container"
    ready_timeout: ClassVar[float] = 3600.0
    """The first image takes as long as its packages take to download."""
    poll: ClassVar[float] = 1.0
    command: Literal["", "docker", "podman"] = ""
    """The container engine; by default the first of these that is installed."""

    def foresee(self, data: Data) -> None:
        """Look for the engine before any training. Raises: PluginError, DeployError."""
        engines.require(engines.path(self.command))

    def prepare(self) -> Endpoint:
        """Make sure that the engine and the endpoint's front run."""
        engines.require(engines.path(self.command))
        return super().prepare()

    def delete(self, deployment: str) -> None:
        """Remove a deployment once its requests in flight are answered, and then its image."""
        images = self._images()
        super().delete(deployment)
        self._clear({name: image for name, image in images.items() if name == deployment})

    def stop(self) -> None:
        """Take the endpoint down with all its containers and images."""
        images = self._images()
        super().stop()
        self._clear(images)

    @classmethod
    def package(cls, bundle: Path, folder: Path, engine: str = NATIVE) -> None:
        """Write the folder that the image is built from: no engine is needed."""
        from ftkit_container import context

        context.package(verify(bundle), folder, engine)

    def stored(self, deployment: str, bundle: Path) -> Entry:
        """Store the bundle and the build context of a deployment; the front starts its container in place of a process."""
        from ftkit_container import context

        program = engines.path(self.command)
        entry = super().stored(deployment, bundle)
        build = self._context(deployment)
        shutil.rmtree(build, ignore_errors=True)
        try:
            endpoint_files.store_bundle(self.folder.bundle(deployment), build / "bundle", self.engine)
            context.write(verify(build / "bundle"), build, self.engine)
        except BaseException as error:
            shutil.rmtree(build, ignore_errors=True)
            self.folder.remove(deployment)
            if isinstance(error, OSError):
                what = f"the folder to build the image from cannot be written: {error.strerror or error}"
                raise DeployError(what, str(build), "Make room on the disk or fix the folder's permissions.") from error
            raise
        image = self._image(deployment, entry, build)
        name = image.replace(":", "-")
        run = self._run(program, image, name, deployment, entry)
        own = [sys.executable, "-P", "-m", "ftkit_container.run", program, str(build), image, name]
        return replace(entry, program=(*own, *run))

    def _run(self, program: str, image: str, name: str, deployment: str, entry: Entry) -> list[str]:
        """The command that runs the container: its server listens on a socket in the deployment's folder, and nowhere else."""
        home = self.folder.deployments / deployment
        account = f"{os.getuid()}:{os.getgid()}"  # who owns the folder of the socket
        podman = ["--userns", "keep-id"] if program.endswith("podman") else []
        limits = json.dumps(asdict(entry.limits))
        return [
            program, "run", "--rm", "--interactive", "--name", name, "--no-healthcheck", "--network", "none",
            "--user", account, *podman, "--read-only", "--tmpfs", "/tmp",  # noqa: S108  in the container
            "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
            "--volume", f"{home}:{INSIDE}", "--volume", f"{home / 'bundle'}:{INSIDE}/bundle:ro",
            *(each for variable in PASSED for each in ("--env", variable)),
            "--entrypoint", "python", image,
            "-P", "-m", "ftkit.serving.server", "/bundle", f"{INSIDE}/{SOCKET}", self.engine, limits,
        ]  # fmt: skip

    def _image(self, deployment: str, entry: Entry, build: Path) -> str:
        """The image's name: another bundle, or other packages, have another one."""
        parts = [str(self.folder.root), entry.bundle_hash]
        parts += [(build / each).read_text(encoding="utf-8") for each in ("Dockerfile", "requirements.txt")]
        parts += [each.name for each in sorted((build / "wheels").glob("*"))]
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
        return f"ftkit:{self.endpoint[:50]}.{deployment[:50]}.{digest}"

    def _context(self, deployment: str) -> Path:
        return self.folder.root / "contexts" / deployment

    def _images(self) -> dict[str, str]:
        """The image of every deployment that is a container."""
        state = self.folder.read()
        return {each.name: each.program[6] for each in state.deployments if each.program} if state else {}

    def _clear(self, images: Mapping[str, str]) -> None:
        for deployment, image in images.items():
            engines.remove_image(engines.path(self.command), image)
            shutil.rmtree(self._context(deployment), ignore_errors=True)
