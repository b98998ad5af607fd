"""A folder to build the container's image from, and to deploy a bundle by hand."""

from __future__ import annotations

import json
import platform
from pathlib import Path

from ftkit.bundle import requirements
from ftkit.bundle.bundle import Bundle
from ftkit.contracts import AUTO, NATIVE
from ftkit_sagemaker import artifact

_DOCKERFILE = """\
FROM python:{python}-slim
RUN useradd --create-home --uid 1000 ftkit
COPY requirements.txt /build/
COPY wheels/ /build/wheels/
RUN pip install --no-cache-dir -r /build/requirements.txt $(find /build/wheels -name '*.whl')
USER ftkit
ENV PYTHONUNBUFFERED=1
EXPOSE 8080
# SageMaker starts the container with the argument `serve`, which the program ignores.
ENTRYPOINT ["python", "-P", "-m", "ftkit_sagemaker.serve"]
"""

_README = """\
# {name}

An image for Amazon SageMaker, and a text classifier that ftkit trained. Classes: {classes}. Bundle {hash}.

    Dockerfile             the image: this machine's versions of all that the model needs, and no model
    requirements.txt       everything pinned to one version
    wheels/                what no package index has
    model.tar.gz           the bundle: weights, tokenizer, label names, promotion record
    sample_request.json    a request that must be answered

## The image

The same image serves every model of this backbone. In this folder, with the account and region of the endpoint:

    aws ecr create-repository --repository-name ftkit
    aws ecr get-login-password | docker login --username AWS --password-stdin ACCOUNT.dkr.ecr.REGION.amazonaws.com
    docker build --platform linux/amd64 --tag ACCOUNT.dkr.ecr.REGION.amazonaws.com/ftkit:1 .
    docker push ACCOUNT.dkr.ecr.REGION.amazonaws.com/ftkit:1

Its address is the option `image` of `[deploy] use = "sagemaker"`, with which `ftkit run` does all that follows.

## By hand

    aws s3 cp model.tar.gz s3://BUCKET/ftkit/model.tar.gz
    aws sagemaker create-model --model-name ftkit --execution-role-arn ROLE --primary-container \\
      'Image=ACCOUNT.dkr.ecr.REGION.amazonaws.com/ftkit:1,ModelDataUrl=s3://BUCKET/ftkit/model.tar.gz,Environment={{FTKIT_ENGINE={engine}}}'
    aws sagemaker create-endpoint-config --endpoint-config-name ftkit --production-variants \\
      VariantName=blue,ModelName=ftkit,InstanceType=ml.m5.large,InitialInstanceCount=1
    aws sagemaker create-endpoint --endpoint-name ftkit --endpoint-config-name ftkit
    aws sagemaker wait endpoint-in-service --endpoint-name ftkit
    aws sagemaker-runtime invoke-endpoint --endpoint-name ftkit --content-type application/json \\
      --body fileb://sample_request.json /dev/stdout

## On this machine

    mkdir model && tar -xzf model.tar.gz -C model
    docker run --rm -p 8080:8080 -v $PWD/model:/opt/ml/model:ro IMAGE serve
    curl -sS http://127.0.0.1:8080/invocations -H 'Content-Type: application/json' -d @sample_request.json
"""


def write(bundle: Bundle, folder: Path, engine: str = NATIVE) -> None:
    """Write the folder, which is new or empty.

    Raises: PluginError when the backbone's plugin is not installed, or something can neither be pinned nor built.
    """
    from ftkit import plugins

    backbone = plugins.load().find("backbones", bundle.manifest["backbone"]["use"])
    engines = bundle.passed if engine == AUTO else (engine,)
    serving = ["ftkit-sagemaker"] if engines == (NATIVE,) else ["ftkit-sagemaker", "ftkit[engines]"]
    needed = requirements.needed([*serving, *requirements.owners([backbone])])
    folder.mkdir(parents=True, exist_ok=True)
    requirements.build(needed.sources, folder / "wheels")
    artifact.pack(bundle.folder, folder / "model.tar.gz")
    files = {
        "Dockerfile": _DOCKERFILE.format(python=".".join(platform.python_version_tuple()[:2])),
        "requirements.txt": "\n".join([*needed.pins, ""]),
        "sample_request.json": json.dumps(bundle.sample_request, indent=2) + "\n",
        "README.md": _README.format(
            name=bundle.manifest.get("name") or "A model",
            classes=", ".join(bundle.classes),
            hash=bundle.hash[:12],
            engine=engine,
        ),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
