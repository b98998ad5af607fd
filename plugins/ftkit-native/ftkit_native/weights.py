"""A model's weights in a file: safetensors, whose header says their sizes, with the sizes of the model among its metadata.

Arrays are padded as `source/engine.h` asks. bf16 is stored as the upper 16 bits of single precision, in unsigned integers.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit_native.library import Refused, check, library

if TYPE_CHECKING:
    import numpy as np

FORMAT = "ftkit-native 1"

SLOTS = (
    "words", "position", "type", "before_gain", "before_bias", "after_gain", "after_bias",
    "projection", "projection_scale", "projection_bias", "bias", "pool", "pool_bias", "classifier", "classifier_bias",
    "qkv", "qkv_scale", "qkv_bias", "out", "out_scale", "out_bias", "up", "up_scale", "up_bias", "down", "down_scale", "down_bias",
    "first_gain", "first_bias", "second_gain", "second_bias", "position_keys", "position_queries",
)  # fmt: skip
"""The weights of a model in the order of the library's numbers; those from `qkv` on are named `LAYER.NAME`."""


class Damaged(ValueError):
    """A file that holds no model, or one that contradicts itself; the message says how."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """The sizes of a model; the first fields are those of the library's `Shape`, in its order."""

    layers: int
    hidden: int
    """The width of a layer, padded."""
    hidden_used: int
    heads: int
    head: int
    """The width of a head, padded."""
    inner: int
    embedding: int
    embedding_used: int
    vocabulary: int
    positions: int
    """Rows of the position embeddings; 0 without any."""
    position_base: int
    """The row of the first token."""
    padding: int
    """The token that has its own row and is not counted; -1 where all are counted."""
    types: int
    classes: int
    longest: int
    """Tokens of a text, at most."""
    relative: int
    """0 without relative positions, 1 where they add to the scores, 2 for disentangled attention."""
    head_activation: int
    int8: int
    epsilon: float
    scale: float
    """What scores are multiplied by before the softmax."""
    typed: bool
    """Whether callers must say the types of tokens."""

    def shape(self) -> list[int]:
        """The numbers of the library's `Shape`."""
        return [getattr(self, field.name) for field in fields(self) if field.type == "int"]


def write(path: Path, form: Form, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a model. Raises: OSError."""
    from safetensors.numpy import save_file

    save_file(dict(arrays), str(path), {"format": FORMAT, "form": json.dumps(asdict(form))})


def read(path: Path) -> tuple[Form, Iterator[tuple[str, np.ndarray]]]:
    """The sizes of a model, and its weights one by one. Raises: Damaged; OSError."""
    from safetensors import SafetensorError, safe_open

    with path.open("rb"):  # for the error of a file that is not there
        pass
    try:
        file = safe_open(str(path), framework="numpy")
        metadata = file.metadata() or {}
    except (SafetensorError, ValueError) as error:
        raise Damaged(f"it is no safetensors file: {error}") from error
    if metadata.get("format") != FORMAT:
        raise Damaged(f"it is not in the format {FORMAT!r}")
    return _form(metadata.get("form", "")), ((name, file.get_tensor(name)) for name in file.keys())  # noqa: SIM118  # no mapping


def _form(text: str) -> Form:
    """The sizes that the metadata hold. Raises: Damaged."""
    types = {"int": int, "float": float, "bool": bool}
    try:
        table = json.loads(text)
        if not all(type(table[field.name]) is types[str(field.type)] for field in fields(Form)):
            raise TypeError("a size is of another type")
        if any(not -(2**31) <= table[field.name] < 2**31 for field in fields(Form)):
            raise ValueError("a size is out of range")
        return Form(**table)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(f"its metadata are not those of a model: {error}") from error


def hand_over(handle: ctypes.c_void_p, arrays: Iterator[tuple[str, np.ndarray]]) -> None:
    """Give the library a model's weights. Raises: Damaged; MemoryError."""
    import numpy as np

    numbers = {name: number for number, name in enumerate(SLOTS)}
    try:
        for name, array in arrays:
            layer, _, slot = name.rpartition(".")
            if slot not in numbers or not (layer.isdecimal() and len(layer) < 6 if layer else "." not in name):
                raise Damaged(f"it holds an unknown weight, {name[:60]!r}")
            array = np.ascontiguousarray(array)
            check(
                library()["put"](
                    handle, numbers[slot], int(layer or 0), array.ctypes.data_as(ctypes.c_void_p), array.nbytes
                )
            )
        check(library()["finish"](handle))
    except Refused as error:
        raise Damaged(f"its weights do not make up a model: {error}") from error
