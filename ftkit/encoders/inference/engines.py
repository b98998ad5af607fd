"""The engines of a saved encoder: which there are, where their files lie, and how one is opened to answer.

    model/engines/onnx/model.onnx        the network in single precision, for the engines `onnx` and `openvino`
    model/engines/onnx-int8/model.onnx   its matrix products in 8 bits, see `ftkit.encoders.export.quantise`
    model/engines/packed-bf16/weights.safetensors, model/engines/packed-int8/weights.safetensors
                                         the weights as ftkit-native computes with them, see `ftkit.encoders.export.packed`
    model/engines/words.json             replaces transformers, and torch with it, see `fast_tokenizer`

An engine takes everything else from the model itself: tokenizer, class names, temperature, the way of reading long texts.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ftkit.bundled_plugins import how_to_install
from ftkit.encoders import long_texts as ways
from ftkit.encoders import temperature as temperatures
from ftkit.encoders.checkpoint import first_line
from ftkit.encoders.inference import fast_tokenizer, runtimes
from ftkit.encoders.inference.exported_classifier import ExportedClassifier
from ftkit.encoders.inference.packed import FORMATS as PACKED
from ftkit.encoders.inference.packed import PACKAGE, packed
from ftkit.encoders.inference.runtimes import INPUTS, Network
from ftkit.encoders.paired_rows import TYPES
from ftkit.errors import BundleError, CheckpointError, PluginError

NEW_BUNDLE = "Fetch the bundle again from the registry, or run the recipe again."
"""The hint for a model that is damaged."""


@dataclass(frozen=True)
class EngineFormat:
    """The file that holds an engine's network, and what opens it."""

    file: str
    """Relative to the folder of the model."""
    package: str
    open: Callable[[Path, bool], Network]


FORMATS: Mapping[str, EngineFormat] = {
    "onnx": EngineFormat("engines/onnx/model.onnx", "onnxruntime", runtimes.onnx_runtime),
    "onnx-int8": EngineFormat("engines/onnx-int8/model.onnx", "onnxruntime", runtimes.onnx_runtime),
    "openvino": EngineFormat("engines/onnx/model.onnx", "openvino", runtimes.openvino),
    **{
        f"packed-{each}": EngineFormat(f"engines/packed-{each}/weights.safetensors", PACKAGE, packed) for each in PACKED
    },
}


def require_packages(packages: Iterable[str]) -> None:
    """Raises: PluginError naming the packages that are not installed, and the extra that installs them."""
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise PluginError(
            f"engines need packages that are not installed: {', '.join(missing)}",
            where="backbone.engines",
            hint=f"Install them: {how_to_install('ftkit[engines]')}; or leave engines out.",
        )


def load(folder: Path, engine: str) -> ExportedClassifier:
    """Open an engine of a saved model without reading the model's own weights. Raises: BundleError; PluginError."""
    form = FORMATS.get(engine)
    if form is None or not (folder / form.file).is_file():
        exported = [name for name, other in FORMATS.items() if (folder / other.file).is_file()]
        raise BundleError(
            f"the model has no engine {engine!r}",
            where=str(folder),
            hint=f"It has: {', '.join(['native', *exported])}. Others come with backbone.engines in the recipe.",
        )
    if form.package != PACKAGE:  # which says itself what it lacks
        require_packages([form.package])
    path = folder / form.file
    try:
        saved = fast_tokenizer.read(folder) or fast_tokenizer.read_with_transformers(folder)
        temperature, long_texts = temperatures.load(folder), ways.load(folder)
    except CheckpointError as error:
        raise BundleError(
            f"the model cannot be loaded: {error.what}", where=error.where or str(folder), hint=NEW_BUNDLE
        ) from error
    tokenizer, classes = saved.tokenizer, saved.classes
    try:
        multi_threaded = single_threaded = form.open(path, True)
        if (threads := runtimes.threads()) > 1:
            single_threaded = form.open(path, False)
    except PluginError:
        raise
    except Exception as error:  # the file's content decides its type
        raise BundleError(
            f"the engine cannot be loaded: {first_line(error)}", where=str(path), hint=NEW_BUNDLE
        ) from error
    if multi_threaded.inputs != {*INPUTS, *[TYPES] * tokenizer.typed} or multi_threaded.classes != len(classes):
        inputs = ", ".join(sorted(multi_threaded.inputs))
        raise BundleError(
            f"the engine is not of this model: it takes {inputs} and returns {multi_threaded.classes} logits",
            where=str(path),
            hint=NEW_BUNDLE,
        )
    length, task = tokenizer.limit, saved.task
    return ExportedClassifier(
        multi_threaded, single_threaded, threads, folder, tokenizer, length, classes, task, temperature, long_texts
    )
