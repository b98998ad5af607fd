"""Opens a network that ftkit-native computes: rows without their padding, end to end."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.bundled_plugins import how_to_install
from ftkit.encoders.inference.runtimes import INPUTS, Network, threads
from ftkit.encoders.paired_rows import TYPES, inputs
from ftkit.errors import PluginError

if TYPE_CHECKING:
    import numpy as np

DISTRIBUTION = "ftkit-native"
PACKAGE = "ftkit_native"
FORMATS = ("bf16", "int8")
"""The engines are named `packed-` and one of these: the form of the weights."""
LEAVE_OUT = f"leave the engines {', '.join(f'packed-{each}' for each in FORMATS)} out."


def require() -> None:
    """Raises: PluginError unless ftkit-native is installed and works on this machine."""
    if importlib.util.find_spec(PACKAGE) is None:
        hint = f"Install it: {how_to_install(DISTRIBUTION)}; or {LEAVE_OUT}"
        raise PluginError(f"{DISTRIBUTION} is not installed", where="backbone.engines", hint=hint)
    import ftkit_native

    try:
        ftkit_native.require()
    except ftkit_native.Unavailable as error:
        raise PluginError(
            str(error), where="backbone.engines", hint=f"Leave out the engines of {DISTRIBUTION}."
        ) from error


def packed(path: Path, all_threads: bool = True) -> Network:
    """Open a network of ftkit-native; for both ways to use threads it is in memory once. Raises: PluginError; ValueError; OSError."""
    require()
    import ftkit_native

    model = ftkit_native.open_model(path)
    count = threads() if all_threads else 1

    def run(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        import numpy as np

        kept = mask.astype(bool)
        named = inputs(ids[kept], None)
        starts = np.concatenate(([0], kept.sum(axis=1).cumsum()))
        return model.logits(named["input_ids"], starts, named.get(TYPES), threads=count)

    return Network(run, frozenset((*INPUTS, *[TYPES] * model.form.typed)), model.form.classes)
