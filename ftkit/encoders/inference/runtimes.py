"""Opens an exported network in ONNX Runtime or in OpenVINO behind one interface; their telemetry is switched off.

A network is opened for one of two ways to use threads: with `all_threads` one call is spread over all of them; without,
as many calls as there are threads may run side by side, each in one thread.
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
from ftkit.encoders import paired_rows
from ftkit.errors import PluginError

if TYPE_CHECKING:
    import numpy as np

INPUTS = ("input_ids", "attention_mask")
OUTPUT = "logits"


@dataclass(frozen=True)
class Network:
    """An open network. Threads may share it."""

    run: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """Logits, (rows, classes), of token ids, with their types if rows have them, and attention mask, (rows, length)."""
    inputs: frozenset[str]
    classes: int
    """The last dimension of its logits, 0 where it has no logits."""


def _named(inputs: frozenset[str], ids: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """What a network is given: token types as well where it takes them, zeros for rows that have none."""
    named = paired_rows.inputs(ids, mask)
    if paired_rows.TYPES in inputs:
        named.setdefault(paired_rows.TYPES, ids * 0)
    return named


def threads() -> int:
    """Threads of this process's matrix products: those of torch where it is loaded, else as the environment sets."""
    if "torch" in sys.modules:
        import torch

        return torch.get_num_threads()
    variable = os.environ.get("OMP_NUM_THREADS", "")
    if variable.isdecimal() and int(variable):
        return int(variable)
    return hardware.cores()


def disable_telemetry() -> None:
    """Switch off the telemetry of both runtimes; to be called before either is imported.

    ONNX Runtime sends usage data by default since 1.29, and its own `disable_telemetry_events` comes too late for the
    first of them. The package `openvino_telemetry` creates an identity for this user and sends data when OpenVINO
    imports it; OpenVINO works without that package.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    modules: MutableMapping[str, Any] = sys.modules
    modules.setdefault("openvino_telemetry", None)  # for Python the package is then not installed


def onnx_runtime(path: Path, all_threads: bool = True) -> Network:
    """Open a network in ONNX Runtime. Raises: any error, by the file's content."""
    disable_telemetry()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads() if all_threads else 1
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it would keep a pattern for every shape of input
    options.log_severity_level = 3
    # A thread that waits for the others releases its core, as in torch: see `process_environment.THREAD_WAITING`.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return session.run([OUTPUT], _named(inputs, ids, mask))[0]

    shapes = {output.name: output.shape for output in session.get_outputs()}
    inputs = frozenset(node.name for node in session.get_inputs())
    return Network(run, inputs, _last_dimension(shapes.get(OUTPUT)))


def openvino(path: Path, all_threads: bool = True) -> Network:
    """Open a network in OpenVINO, in bf16 if the processor has units for it. Raises: as `onnx_runtime`; PluginError."""
    if "tcmalloc" in _loaded_libraries():
        raise PluginError(
            "OpenVINO crashes in a process that tcmalloc was loaded into",
            where="LD_PRELOAD",
            hint="Unset LD_PRELOAD, or choose another engine.",
        )
    disable_telemetry()
    import openvino as runtime

    count = threads()
    model = runtime.Core().read_model(str(path))
    # Without pinning, since the pinned threads of several processes would share the same cores.
    settings = {"NUM_STREAMS": 1 if all_threads else count, "INFERENCE_NUM_THREADS": count, "ENABLE_CPU_PINNING": False}
    compiled = runtime.Core().compile_model(model, "CPU", settings)
    idle: queue.LifoQueue[Any] = queue.LifoQueue()  # inference requests: each can run one call at a time

    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        try:
            request = idle.get_nowait()
        except queue.Empty:
            request = compiled.create_infer_request()
        try:
            return request.infer(_named(inputs, ids, mask))[OUTPUT].copy()
        finally:
            idle.put(request)

    shapes = {name: output.partial_shape for output in model.outputs for name in output.names}
    inputs = frozenset(name for node in model.inputs for name in node.names)
    classes = shapes[OUTPUT][-1] if OUTPUT in shapes else None
    return Network(run, inputs, classes.get_length() if classes is not None and classes.is_static else 0)


def _loaded_libraries() -> str:
    """What is loaded into this process, as far as the system lists it. Source: proc(5), /proc/pid/maps."""
    try:
        return Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return os.environ.get("LD_PRELOAD", "")


def _last_dimension(shape: Sequence[Any] | None) -> int:
    last = shape[-1] if shape else 0
    return last if isinstance(last, int) else 0
