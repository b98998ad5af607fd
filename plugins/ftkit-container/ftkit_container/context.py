"""The build context of an image: a Dockerfile, pinned requirements, wheels of what no index has, and the bundle; nothing else."""

from __future__ import annotations

import json
import platform
import shutil
from importlib import metadata
from pathlib import Path

from ftkit import plugins
from ftkit.bundle import requirements
from ftkit.bundle.bundle import Bundle
from ftkit.contracts import AUTO, NATIVE

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""Where torch is that needs no GPU: the image gets it where this machine has it, which saves gigabytes."""

_DOCKERFILE = """\
FROM docker.io/library/python:{python}-slim
RUN useradd --create-home --uid 1000 ftkit
COPY requirements.txt /build/
COPY wheels/ /build/wheels/
RUN pip install --no-cache-dir --requirement /build/requirements.txt $(find /build/wheels -name '*.whl')
COPY bundle/ /bundle/
USER 1000
# USER has no name where the container is run as another account.
ENV PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 HOME=/tmp USER=ftkit FTKIT_ENGINE={engine}
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=5m \\
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/readyz', timeout=4)"]
ENTRYPOINT ["python", "-P", "-m", "ftkit.serving.standalone", "/bundle"]
"""

_IGNORED = """\
*
!requirements.txt
!wheels
!bundle
"""
"""Whatever else comes into the folder is no part of the image."""

_README = """\
# {name}

An image that serves a text classifier which ftkit trained. Classes: {classes}. Bundle {hash}.

    Dockerfile             the image: an account without rights, and a check of its health
    .dockerignore          lets into the image what is named here, and nothing else
    requirements.txt       everything pinned to one version
    wheels/                what no package index has
    bundle/                weights, tokenizer, label names, promotion record
    sample_request.json    a request that must be answered

In this folder, with docker, or with podman (which needs `build --format docker` for the check of the health):

    docker build --tag my-classifier .
    docker run --rm --publish 127.0.0.1:8080:8080 --read-only --tmpfs /tmp --cap-drop ALL --env FTKIT_KEY my-classifier
    curl -sS http://127.0.0.1:8080/score -H "Authorization: Bearer $FTKIT_KEY" \\
      -H 'Content-Type: application/json' -d @sample_request.json

FTKIT_KEY is what callers send, any text that nobody guesses: set it in your shell first. No key or other secret is in the image. `/readyz` says when it
answers, `/healthz` that it lives, `/docs` what it offers.
"""


def write(bundle: Bundle, folder: Path, engine: str = NATIVE) -> None:
    """Write everything but the bundle into a folder that exists.

    Raises: PluginError when the backbone's plugin is not installed, or something can neither be pinned nor built; OSError.
    """
    backbone = plugins.load().find("backbones", bundle.manifest["backbone"]["use"])
    engines = bundle.passed if engine == AUTO else (engine,)
    serving = ["ftkit[serving]"] if engines == (NATIVE,) else ["ftkit[serving]", "ftkit[engines]"]
    needed = requirements.needed([*serving, *requirements.owners([backbone])])
    requirements.build(needed.sources, folder / "wheels")
    files = {
        "Dockerfile": _DOCKERFILE.format(python=".".join(platform.python_version_tuple()[:2]), engine=engine),
        ".dockerignore": _IGNORED,
        "requirements.txt": "\n".join([*_indexes(needed.pins), *needed.pins, ""]),
        "sample_request.json": json.dumps(bundle.sample_request, indent=2) + "\n",
        "README.md": _README.format(
            name=bundle.manifest.get("name") or "A model", classes=", ".join(bundle.classes), hash=bundle.hash[:12]
        ),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def package(bundle: Bundle, folder: Path, engine: str = NATIVE) -> None:
    """Write the whole context into a folder that is new or empty. Raises: as `write`."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(bundle.folder, folder / "bundle")
    write(bundle, folder, engine)


def _indexes(pins: tuple[str, ...]) -> list[str]:
    if not any(each.startswith("torch==") for each in pins):
        return []
    return [f"--extra-index-url {CPU_INDEX}"] if metadata.version("torch").endswith("+cpu") else []
