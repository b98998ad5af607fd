"""The files that MLflow's own tools need beside a bundle to load and serve it. None of them is a pickle."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from ftkit import scratch
from ftkit.bundle.bundle import Bundle

_RUNTIME = ("mlflow", "numpy", "torch", "transformers", "tokenizers", "safetensors")


@contextmanager
def model_files(bundle: Bundle, run: str, place: str, lineage: Mapping[str, Any]) -> Iterator[Path]:
    """A folder with all files of the MLflow model except the bundle, for the duration of a block.

    Source: MLflow, "MLflow Models", storage format and the python_function flavour.
    """
    import yaml
    from mlflow import pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Array

    columns = list(bundle.fields)
    example = {"columns": columns, "data": [[row[name] for name in columns] for row in bundle.sample_request["data"]]}
    several = bundle.task == "multi-label"
    output = ColSpec(Array(DataType.string), "labels") if several else ColSpec("string", "label")
    model = Model(
        artifact_path=place,
        run_id=run,
        signature=ModelSignature(
            # None for the input: MLflow would refuse a list or an array for a named column, and take the first of several
            # columns for one without a name. `texts.read` takes all of them and names what is wrong.
            outputs=Schema([output]),
            params=ParamSchema([ParamSpec("scores", "boolean", False)]),
        ),
        saved_input_example_info={
            "artifact_path": "input_example.json",
            "serving_input_path": "serving_input_example.json",
            "type": "dataframe",
            "pandas_orient": "split",
        },
        metadata={"bundle": bundle.hash, "task": bundle.task, "fields": columns, "classes": list(bundle.classes)},
    )
    pyfunc.add_to_model(
        model,
        loader_module="ftkit_mlflow.model",
        data="bundle",
        conda_env="conda.yaml",
        python_env="python_env.yaml",
    )
    model.model_size_bytes = sum(file.stat().st_size for file in bundle.folder.rglob("*") if file.is_file())
    requirements = _requirements(bundle)
    python = {"python": platform.python_version(), "dependencies": ["-r requirements.txt"]}
    conda = {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={platform.python_version()}", "pip", {"pip": requirements}],
    }
    with scratch.folder() as folder:
        model.save(str(folder / "MLmodel"))
        (folder / "requirements.txt").write_text("\n".join([*requirements, ""]), encoding="utf-8")
        (folder / "python_env.yaml").write_text(yaml.safe_dump(python), encoding="utf-8")
        (folder / "conda.yaml").write_text(yaml.safe_dump(conda), encoding="utf-8")
        (folder / "input_example.json").write_text(json.dumps(example), encoding="utf-8")
        (folder / "serving_input_example.json").write_text(json.dumps({"dataframe_split": example}), encoding="utf-8")
        (folder / "lineage.json").write_text(json.dumps(lineage, indent=2), encoding="utf-8")
        yield folder


def _requirements(bundle: Bundle) -> list[str]:
    """The packages that load this bundle, pinned to the installed versions."""
    from ftkit import plugins

    use = bundle.manifest["backbone"]["use"]
    owner = next((each.plugin for each in plugins.load().offers if (each.kind, each.name) == ("backbones", use)), "")
    distributions = dict.fromkeys(("ftkit", "ftkit-mlflow", *owner.split(" ")[:1], *_RUNTIME))
    return [f"{name}=={version}" for name in distributions if name and (version := _version(name))]


def _version(distribution: str) -> str:
    try:
        # pip has no release with a local version label such as +cpu.
        return metadata.version(distribution).partition("+")[0]
    except metadata.PackageNotFoundError:
        return ""
