"""Opens an exported network in ONNX Runtime or in OpenVINO: the same few words for both, and neither tells its makers.

How a network is computed is settled when it is opened: `wide` spreads one call over all threads, else as many calls as there are threads
may go on side by side, each in one.
"""

from __future__ import annotations

import os
import queue
import sys
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import hardware
from ftkit.errors import PluginError

if TYPE_CHECKING:
    import numpy as np

INPUTS = ("input_ids", "attention_mask")
OUTPUT = "logits"


@dataclass(frozen=True)
class Network:
    """A network that is open. Threads may share it."""

    run: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """Logits, (rows, classes), of token ids and attention mask, (rows, length)."""
    inputs: frozenset[str]
    classes: int
    """What its logits end with, 0 where it gives none."""


def threads() -> int:
    """Threads of this process's matrix products: torch's where it is loaded, else those the environment gives."""
    if "torch" in sys.modules:
        import torch

        return torch.get_num_threads()
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given):
        return int(given)
    return hardware.cores()


def unobserved() -> None:
    """Keep both from telling their makers what is done with them, as ONNX Runtime does since 1.29 unless asked not to.

    To be called before either is imported. ONNX Runtime's own `disable_telemetry_events` is too late for what it sends
    first. OpenVINO's package makes an identity for this user, and sends, when it is imported; without the package that does
    so, it goes without.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    modules: MutableMapping[str, Any] = sys.modules
    modules.setdefault("openvino_telemetry", None)  # what Python takes for a package that is not there


def onnx_runtime(path: Path, wide: bool = True) -> Network:
    """The network in ONNX Runtime. Raises: whatever the file's content makes it raise."""
    unobserved()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads() if wide else 1
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # one would be kept for every shape that comes
    options.log_severity_level = 3
    # A thread that waits for the others gives its core away, as torch's do: see `environment.PATIENT`.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return session.run([OUTPUT], dict(zip(INPUTS, (ids, mask), strict=True)))[0]

    shapes = {each.name: each.shape for each in session.get_outputs()}
    return Network(run, frozenset(each.name for each in session.get_inputs()), _last(shapes.get(OUTPUT)))


def openvino(path: Path, wide: bool = True) -> Network:
    """The network in OpenVINO, in bf16 where the processor has units for it. Raises: as `onnx_runtime`; PluginError."""
    if "tcmalloc" in _libraries():
        raise PluginError(
            "OpenVINO crashes in a process that tcmalloc was loaded into",
            where="LD_PRELOAD",
            hint="Unset LD_PRELOAD, or choose another engine.",
        )
    unobserved()
    import openvino as runtime

    count = threads()
    model = runtime.Core().read_model(str(path))
    # Pinned threads of several processes would meet on the same cores.
    settings = {"NUM_STREAMS": 1 if wide else count, "INFERENCE_NUM_THREADS": count, "ENABLE_CPU_PINNING": False}
    compiled = runtime.Core().compile_model(model, "CPU", settings)
    idle: queue.LifoQueue[Any] = queue.LifoQueue()  # an inference request bears one call at a time

    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        try:
            request = idle.get_nowait()
        except queue.Empty:
            request = compiled.create_infer_request()
        try:
            return request.infer(dict(zip(INPUTS, (ids, mask), strict=True)))[OUTPUT].copy()
        finally:
            idle.put(request)

    shapes = {name: each.partial_shape for each in model.outputs for name in each.names}
    inputs = frozenset(name for each in model.inputs for name in each.names)
    last = shapes[OUTPUT][-1] if OUTPUT in shapes else None
    return Network(run, inputs, last.get_length() if last is not None and last.is_static else 0)


def _libraries() -> str:
    """What is loaded into this process, where the system tells. Source: proc(5), /proc/pid/maps."""
    try:
        return Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return os.environ.get("LD_PRELOAD", "")


def _last(shape: Sequence[Any] | None) -> int:
    last = shape[-1] if shape else 0
    return last if isinstance(last, int) else 0
