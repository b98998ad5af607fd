"""Fine-tuned encoders in ONNX Runtime, in single precision or 8-bit integers: exported into the bundle, and answering.

    model/engines/onnx/model.onnx        the network in single precision
    model/engines/onnx-int8/model.onnx   its matrix products in 8 bits, see `quantise`

Everything else an engine needs is the model's own: tokenizer, class names, temperature.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import shutil
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import machine
from ftkit.encoders import temperature as temperatures
from ftkit.encoders.batches import padded
from ftkit.encoders.classifier import softmax
from ftkit.encoders.portions import portions, together
from ftkit.encoders.tokens import Words
from ftkit.errors import BundleError, CheckpointError, PluginError, StageError

if TYPE_CHECKING:
    import numpy as np

    from ftkit.contracts import Probabilities

FOLDER = "engines"
FILE = "model.onnx"
EXPORTING = ("onnx", "onnxscript", "onnxruntime")
ANSWERING = ("onnxruntime",)
BUDGET = 256
"""Tokens computed at once, padding included: more made no processor faster, and took more memory."""
INPUTS = ("input_ids", "attention_mask")
TOLERANCE = 1e-3
"""How far a fresh export may be from the network it was made of, in a logit: far above rounding, far below a mistake."""

_AGAIN = "Fetch the bundle again from the registry, or run the recipe again."


def require(packages: Sequence[str]) -> None:
    """Raises: PluginError naming the packages that are not installed, and the extra that brings them."""
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise PluginError(
            f"engines need packages that are not installed: {', '.join(missing)}",
            where="backbone.engines",
            mend="Install them: pip install 'ftkit[engines]'; or leave engines out.",
        )


def export(folder: Path, engines: Sequence[str]) -> None:
    """Write these engines into the folder of a saved model.

    Raises: PluginError without the packages; BundleError when the model cannot be read; StageError when its network cannot be
    exported.
    """
    require(EXPORTING)
    unobserved()
    import onnx

    from ftkit.encoders.quantise import quantise

    model = _network(folder)
    found = _onnx(model)
    for engine in engines:
        made = found
        if engine == "onnx-int8":
            made = onnx.ModelProto()
            made.CopyFrom(found)
            quantise(made)
        path = folder / FOLDER / engine / FILE
        path.parent.mkdir(parents=True)
        try:
            onnx.save(made, path)
        except ValueError as error:  # what protobuf says of more than 2 GiB
            raise _failed(error) from error
    if "onnx" in engines:
        _compare(model, folder / FOLDER / "onnx" / FILE)


class ExportedClassifier:
    """A model that answers through ONNX Runtime. Threads may share it.

    A call that is alone is spread over all threads of the session `wide`. Calls that go on side by side have a thread each, by the
    session `narrow`: none then waits for another between two products, and each keeps to its own core's cache.
    """

    def __init__(
        self,
        wide: Any,
        narrow: Any,
        calls: int,
        folder: Path,
        words: Words,
        length: int,
        classes: tuple[str, ...],
        temperature: float,
    ) -> None:
        self._wide, self._narrow = wide, narrow
        self._going = 0
        self._counting = threading.Lock()
        self.calls = calls
        """Calls that may go on side by side: one for each thread."""
        self.folder = folder
        self.words = words
        self.length = length
        self.classes = classes
        self.temperature = temperature

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """Class probabilities, (texts, classes), float64; empty, endless and broken texts are answered too."""
        import numpy as np

        rows = self.read(texts)
        found = np.empty((len(rows), len(self.classes)))
        parts = portions(list(map(len, rows)), BUDGET)
        given = [[rows[index] for index in part] for part in parts]
        if len(parts) < max(self.calls, 2):
            computed = iter([self.computed(rows) for rows in given])
        else:
            with ThreadPoolExecutor(self.calls) as threads:
                computed = threads.map(partial(self._run, self._narrow), given)
        for part, probabilities in zip(parts, computed, strict=True):
            found[part] = probabilities
        return found

    def read(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The ids of each text's tokens."""
        return [self.words.row(own, self.length) for own in self.words.own(texts)]

    def together(self, lengths: Sequence[int]) -> list[int]:
        """Rows of like length."""
        return together(lengths, BUDGET)

    def computed(self, rows: Sequence[np.ndarray]) -> Probabilities:
        """Class probabilities of tokenised texts, (rows, classes), in one call of the engine."""
        with self._counting:
            session = self._narrow if self._going else self._wide
            self._going += 1
        try:
            return self._run(session, rows)
        finally:
            with self._counting:
                self._going -= 1

    def _run(self, session: Any, rows: Sequence[np.ndarray]) -> Probabilities:
        import numpy as np

        if not rows:
            return np.empty((0, len(self.classes)))
        given = padded(rows, self.words.padding, self.length, self.words.side, 1)  # any shape is as good as another
        logits = session.run(["logits"], dict(zip(INPUTS, given, strict=True)))[0]
        return softmax(logits.astype(np.float64), self.temperature)

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text that the model reads, special ones included."""
        return self.words.lengths(texts, self.length)

    def save(self, folder: Path) -> None:
        """Write the whole model it belongs to, its engines included. Raises: OSError."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)


def load(folder: Path, engine: str) -> ExportedClassifier:
    """An engine of a saved model; the network itself stays on the disk. Raises: BundleError; PluginError."""
    require(ANSWERING)
    from ftkit.encoders import checkpoint

    path = folder / FOLDER / engine / FILE
    if not path.is_file():
        there = sorted(each.parent.name for each in (folder / FOLDER).glob(f"*/{FILE}"))
        raise BundleError(
            f"the model has no engine {engine!r}",
            where=str(folder),
            mend=f"It has: {', '.join(['native', *there])}. Others come with backbone.engines in the recipe.",
        )
    try:
        saved = checkpoint.read(folder)
        temperature = temperatures.load(folder)
    except CheckpointError as error:
        raise BundleError(
            f"the model cannot be loaded: {error.what}", where=error.where or str(folder), mend=_AGAIN
        ) from error
    names = saved.config.id2label
    classes = tuple(names[index] for index in range(len(names)))
    try:
        wide = session = _session(path)
        if (count := threads()) > 1:
            session = _session(path, 1)
        inputs = {each.name for each in session.get_inputs()}
        outputs = {each.name: each.shape for each in session.get_outputs()}
    except Exception as error:  # the file's content decides which one
        raise BundleError(f"the engine cannot be loaded: {_line(error)}", where=str(path), mend=_AGAIN) from error
    if inputs != set(INPUTS) or outputs.get("logits", [0])[-1] != len(classes):
        raise BundleError(
            f"the engine is not of this model: it takes {', '.join(sorted(inputs))} and gives {outputs}",
            where=str(path),
            mend=_AGAIN,
        )
    words = Words(saved.tokenizer, saved.limit)
    return ExportedClassifier(wide, session, count, folder, words, saved.limit, classes, temperature)


def threads() -> int:
    """Threads of this process's matrix products: torch's where it is loaded, else those the environment gives."""
    if "torch" in sys.modules:
        import torch

        return torch.get_num_threads()
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given):
        return int(given)
    return machine.cores()


def unobserved() -> None:
    """Keep ONNX Runtime from telling its makers of every model it opens, as it does since 1.29 unless asked not to.

    To be called before it is imported; its own `disable_telemetry_events` is too late for what it sends first.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def _session(path: Path, count: int = 0) -> Any:
    """An engine that computes with so many threads; 0 takes all of this process."""
    unobserved()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = count or threads()
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # one would be kept for every shape that comes
    options.log_severity_level = 3
    # A thread that waits for the others gives its core away, as torch's do: see `environment.PATIENT`.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _network(folder: Path) -> Any:
    """The saved model as torch has it, with attention spelt out: the exporter makes the smallest graph of that."""
    from ftkit.encoders import checkpoint

    try:
        saved = checkpoint.read(folder)
        names = saved.config.id2label
        model = saved.model(tuple(names[index] for index in range(len(names))), complete=True, attention="eager")
    except CheckpointError as error:
        raise BundleError(
            f"the model cannot be exported: {error.what}", where=error.where or str(folder), mend=_AGAIN
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

    session = _session(path)
    for rows, length in ((1, 5), (3, 41)):
        example = _example(model, rows, length)
        with torch.inference_mode():
            wanted = model(input_ids=example[0], attention_mask=example[1]).logits
        given = {name: each.numpy() for name, each in zip(INPUTS, example, strict=True)}
        apart = float((torch.from_numpy(session.run(["logits"], given)[0]) - wanted).abs().max())
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
        mend="Set backbone.engines = [] and give the same command: its trained model is served by torch.",
    )


def _line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
