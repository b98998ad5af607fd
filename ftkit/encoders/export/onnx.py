"""Fine-tuned encoders in other forms: exported into the bundle, and opened to answer.

    model/engines/onnx/model.onnx        the network in single precision, for the engines `onnx` and `openvino`
    model/engines/onnx-int8/model.onnx   its matrix products in 8 bits, see `quantise`
    model/engines/words.json             what makes transformers, and torch with it, unnecessary to answer, see `plain`

Everything else an engine needs is the model's own: tokenizer, class names, temperature.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftkit.encoders import temperature as temperatures
from ftkit.encoders.inference import fast_tokenizer, runtimes
from ftkit.encoders.inference.exported_classifier import ExportedClassifier
from ftkit.encoders.inference.runtimes import INPUTS, Network
from ftkit.errors import BundleError, CheckpointError, PluginError, StageError

EXPORTING = ("onnx", "onnxscript", "onnxruntime")
TOLERANCE = 1e-3
"""How far a fresh export may be from the network it was made of, in a logit: far above rounding, far below a mistake."""

_AGAIN = "Fetch the bundle again from the registry, or run the recipe again."


@dataclass(frozen=True)
class Form:
    """What an engine's network lies in, and what opens it."""

    file: str
    """In the folder of the model."""
    package: str
    open: Callable[[Path, bool], Network]


FORMS: Mapping[str, Form] = {
    "onnx": Form("engines/onnx/model.onnx", "onnxruntime", runtimes.onnx_runtime),
    "onnx-int8": Form("engines/onnx-int8/model.onnx", "onnxruntime", runtimes.onnx_runtime),
    "openvino": Form("engines/onnx/model.onnx", "openvino", runtimes.openvino),
}


def require(packages: Iterable[str]) -> None:
    """Raises: PluginError naming the packages that are not installed, and the extra that brings them."""
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise PluginError(
            f"engines need packages that are not installed: {', '.join(missing)}",
            where="backbone.engines",
            hint="Install them: pip install 'ftkit[engines]'; or leave engines out.",
        )


def require_all(engines: Sequence[str]) -> None:
    """Raises: PluginError unless all is installed that makes these engines, and that answers by them."""
    require(dict.fromkeys((*EXPORTING, *(FORMS[engine].package for engine in engines))))


def export(folder: Path, engines: Sequence[str]) -> None:
    """Write these engines into the folder of a saved model.

    Raises: PluginError without the packages; BundleError when the model cannot be read; StageError when its network cannot be
    exported.
    """
    require_all(engines)
    runtimes.unobserved()
    import onnx

    from ftkit.encoders.export.quantise import quantise

    model = _network(folder)
    found = _onnx(model)
    for file in dict.fromkeys(FORMS[engine].file for engine in engines):
        made = found
        if file == FORMS["onnx-int8"].file:
            made = onnx.ModelProto()
            made.CopyFrom(found)
            quantise(made)
        path = folder / file
        path.parent.mkdir(parents=True)
        try:
            onnx.save(made, path)
        except ValueError as error:  # what protobuf says of more than 2 GiB
            raise _failed(error) from error
    fast_tokenizer.write(folder)
    if (folder / FORMS["onnx"].file).exists():
        _compare(model, folder / FORMS["onnx"].file)


def load(folder: Path, engine: str) -> ExportedClassifier:
    """An engine of a saved model; the network itself stays on the disk. Raises: BundleError; PluginError."""
    form = FORMS.get(engine)
    if form is None or not (folder / form.file).is_file():
        there = [name for name, each in FORMS.items() if (folder / each.file).is_file()]
        raise BundleError(
            f"the model has no engine {engine!r}",
            where=str(folder),
            hint=f"It has: {', '.join(['native', *there])}. Others come with backbone.engines in the recipe.",
        )
    require([form.package])
    path = folder / form.file
    try:
        saved = fast_tokenizer.read(folder) or fast_tokenizer.by_transformers(folder)
        temperature = temperatures.load(folder)
    except CheckpointError as error:
        raise BundleError(
            f"the model cannot be loaded: {error.what}", where=error.where or str(folder), hint=_AGAIN
        ) from error
    words, classes = saved.words, saved.classes
    try:
        wide = narrow = form.open(path, True)
        if (count := runtimes.threads()) > 1:
            narrow = form.open(path, False)
    except PluginError:
        raise
    except Exception as error:  # the file's content decides which one
        raise BundleError(f"the engine cannot be loaded: {_line(error)}", where=str(path), hint=_AGAIN) from error
    if wide.inputs != set(INPUTS) or wide.classes != len(classes):
        raise BundleError(
            f"the engine is not of this model: it takes {', '.join(sorted(wide.inputs))} and gives {wide.classes} logits",
            where=str(path),
            hint=_AGAIN,
        )
    return ExportedClassifier(wide, narrow, count, folder, words, words.limit, classes, temperature)


def _network(folder: Path) -> Any:
    """The saved model as torch has it, with attention spelt out: the exporter makes the smallest graph of that."""
    from ftkit.encoders import checkpoint
    from ftkit.encoders.training.cpu import attention

    attention.register()
    try:
        saved = checkpoint.read(folder)
        names = saved.config.id2label
        model = saved.model(tuple(names[index] for index in range(len(names))), complete=True, attention=attention.NAME)
    except CheckpointError as error:
        raise BundleError(
            f"the model cannot be exported: {error.what}", where=error.where or str(folder), hint=_AGAIN
        ) from error
    return model.eval().requires_grad_(False)


def _onnx(model: Any) -> Any:
    """A network as an ONNX model whose rows and lengths are free. Raises: StageError."""
    import torch

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    free = {0: "rows", 1: "length"}
    try:
        with _quiet(), torch.inference_mode():
            program = torch.onnx.export(
                Logits().eval(),
                _example(model, 2, 16),
                input_names=INPUTS,
                output_names=("logits",),
                dynamic_shapes=dict.fromkeys(INPUTS, free),
                dynamo=True,  # the older way bakes the example's length into some architectures' masks
                verbose=False,
            )
            assert program is not None
            found = program.model_proto
    except Exception as error:  # whatever the exporter does not know about an architecture
        raise _failed(error) from error
    _forget(found)
    return found


def _example(model: Any, rows: int, length: int) -> tuple[Any, Any]:
    """Token ids and an attention mask, (rows, length), the last row half padding."""
    import torch

    chance = torch.Generator().manual_seed(length)
    ids = torch.randint(0, model.config.vocab_size, (rows, length), generator=chance)
    mask = torch.ones_like(ids)
    if rows > 1:
        mask[-1, length // 2 :] = 0
        ids[-1, length // 2 :] = model.config.pad_token_id or 0
    return ids, mask


def _compare(model: Any, path: Path) -> None:
    """Raises: StageError when an export answers otherwise than its network, in shapes that the exporter has not seen."""
    import torch

    network = runtimes.onnx_runtime(path)
    for rows, length in ((1, 5), (3, 41)):
        example = _example(model, rows, length)
        with torch.inference_mode():
            wanted = model(input_ids=example[0], attention_mask=example[1]).logits
        apart = float((torch.from_numpy(network.run(*(each.numpy() for each in example))) - wanted).abs().max())
        if not apart <= TOLERANCE:
            raise _failed(f"its logits are {apart:.3g} away from the network's")


def _forget(model: Any) -> None:
    """Drop what the exporter noted about the code it read, this machine's paths included."""
    for part in (model, model.graph, *model.graph.node, *model.graph.initializer, *model.graph.value_info):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    for each in (*model.graph.input, *model.graph.output):
        each.ClearField("metadata_props")
    del model.graph.value_info[:]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks about its own workings to itself."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [each.level for each in loggers]
    try:
        for each in loggers:
            each.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


def _failed(reason: object) -> StageError:
    said = _line(reason) if isinstance(reason, Exception) else str(reason)
    return StageError(
        f"the model cannot be exported to ONNX: {said}",
        where="backbone.engines",
        hint="Set backbone.engines = [] and give the same command: its trained model is served by torch.",
    )


def _line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
