"""Exports a saved encoder to ONNX: the files that the engines of `ftkit.encoders.inference.engines` open."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ftkit.encoders import checkpoint
from ftkit.encoders.checkpoint import first_line
from ftkit.encoders.inference import engines as formats
from ftkit.encoders.inference import fast_tokenizer, runtimes
from ftkit.encoders.inference.engines import FORMATS, NEW_BUNDLE
from ftkit.encoders.paired_rows import SECOND, inputs
from ftkit.encoders.task import task_of
from ftkit.errors import BundleError, CheckpointError, StageError

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
"""What an export is made and compared with."""
TOLERANCE = 1e-3
"""How far a logit of a fresh export may be from that of the model: far above rounding, far below a mistake."""


def require_packages(engines: Sequence[str]) -> None:
    """Raises: PluginError unless everything is installed that exports these engines and computes with them."""
    formats.require_packages(dict.fromkeys((*PACKAGES, *(FORMATS[engine].package for engine in engines))))


def export(folder: Path, engines: Sequence[str]) -> None:
    """Write these engines into the folder of a saved model.

    Raises: PluginError without the packages; BundleError for a model that cannot be read; StageError for one that
    cannot be exported.
    """
    require_packages(engines)
    runtimes.disable_telemetry()
    import onnx

    from ftkit.encoders.export.quantise import quantise

    model = _model(folder)
    typed = fast_tokenizer.read_with_transformers(folder).tokenizer.typed
    network = _onnx(model, typed)
    for file in dict.fromkeys(FORMATS[engine].file for engine in engines):
        exported = network
        if file == FORMATS["onnx-int8"].file:
            exported = onnx.ModelProto()
            exported.CopyFrom(network)
            quantise(exported)
        path = folder / file
        path.parent.mkdir(parents=True)
        try:
            onnx.save(exported, path)
        except ValueError as error:  # protobuf's, for more than 2 GiB
            raise _failed(error) from error
    fast_tokenizer.write(folder)
    if (folder / FORMATS["onnx"].file).exists():
        _compare(model, folder / FORMATS["onnx"].file, typed)


def _model(folder: Path) -> Any:
    """The saved model in torch, with attention in single operations: the exporter makes the smallest graph of these."""
    from ftkit.encoders.training.cpu import attention

    attention.register()
    try:
        saved = checkpoint.read(folder)
        model = saved.model(saved.classes, task=task_of(saved.config), complete=True, attention=attention.NAME)
    except CheckpointError as error:
        raise BundleError(
            f"the model cannot be exported: {error.what}", where=error.where or str(folder), hint=NEW_BUNDLE
        ) from error
    return model.eval().requires_grad_(False)


def _onnx(model: Any, typed: bool) -> Any:
    """The model as an ONNX network that takes any number of rows of any length. Raises: StageError."""
    import torch

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    class TypedLogits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(
            self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
        ) -> torch.Tensor:
            return self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).logits

    dynamic = {0: "rows", 1: "length"}
    example = inputs(*_example(model, 2, 16, typed))
    try:
        with _quiet(), torch.inference_mode():
            program = torch.onnx.export(
                (TypedLogits if typed else Logits)().eval(),
                tuple(example.values()),
                input_names=tuple(example),
                output_names=("logits",),
                dynamic_shapes=dict.fromkeys(example, dynamic),
                dynamo=True,  # the older exporter bakes the example's length into the masks of some architectures
                verbose=False,
            )
            assert program is not None
            network = program.model_proto
    except Exception as error:  # the architecture decides its type
        raise _failed(error) from error
    _strip_metadata(network)
    return network


def _example(model: Any, rows: int, length: int, typed: bool) -> tuple[Any, Any]:
    """Token ids and an attention mask, (rows, length), the last row half padding; where they are `typed`, of two types."""
    import torch

    generator = torch.Generator().manual_seed(length)
    ids = torch.randint(0, model.config.vocab_size, (rows, length), generator=generator)
    mask = torch.ones_like(ids)
    if typed:
        ids[:, length // 3 :] += SECOND
    if rows > 1:
        mask[-1, length // 2 :] = 0
        ids[-1, length // 2 :] = model.config.pad_token_id or 0
    return ids, mask


def _compare(model: Any, path: Path, typed: bool = False) -> None:
    """Raises: StageError when an export's logits differ from the model's, in shapes that the exporter has not seen."""
    import torch

    network = runtimes.onnx_runtime(path)
    for rows, length in ((1, 5), (3, 41)):
        ids, mask = _example(model, rows, length, typed)
        with torch.inference_mode():
            expected = model(**inputs(ids, mask)).logits
        logits = torch.from_numpy(network.run(ids.numpy(), mask.numpy()))
        difference = float((logits - expected).abs().max())
        if not difference <= TOLERANCE:
            raise _failed(f"its logits are {difference:.3g} away from the model's")


def _strip_metadata(network: Any) -> None:
    """Drop what the exporter wrote about the code it read, this machine's paths included."""
    graph = network.graph
    for part in (network, graph, *graph.node, *graph.initializer, *graph.value_info):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    for value in (*graph.input, *graph.output):
        value.ClearField("metadata_props")
    del graph.value_info[:]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's messages about its own workings out of the log."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _failed(reason: Exception | str) -> StageError:
    return StageError(
        f"the model cannot be exported to ONNX: {reason if isinstance(reason, str) else first_line(reason)}",
        where="backbone.engines",
        hint="Set backbone.engines = [] and give the same command: the trained model is then served by torch.",
    )
