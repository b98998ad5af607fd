"""A stream: the tokens of several rows, one after the other and without padding, as the modules of a model see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_STREAM = "ftkit_stream"


@dataclass(frozen=True)
class Rows:
    """Where the rows of a stream are."""

    offsets: torch.Tensor
    """Where each row begins, and the end of the last one, (rows + 1,)."""
    shortest: int
    longest: int
    total: int
    """Tokens of the stream; on a CPU, those behind the last row only fill it."""
    places: dict[tuple[int, bool], Any] = field(default_factory=dict, compare=False)
    """Kept by `ftkit.encoders.training.cpu.places.places_of`."""


class Stream:
    """What is computed now, for the modules of one model: the rows of a stream, or padded rows where it is None.

    It stays until the next call, as layers that are computed again in the backward pass need it.
    """

    rows: Rows | None = None


def new_stream(model: Any) -> Stream:
    """A stream that all modules of a model know."""
    stream = Stream()
    for module in model.modules():
        setattr(module, _STREAM, stream)
    return stream


def stream_of(module: Any) -> Rows | None:
    """The rows of the stream that a module of a model computes now; None for padded rows."""
    stream: Stream | None = getattr(module, _STREAM, None)
    return stream.rows if stream else None


def of_rows(hidden: torch.Tensor, rows: Rows) -> torch.Tensor:
    """The first token of each row of a stream, (1, rows, width); where these have been taken already, they stay."""
    return hidden[:, rows.offsets[:-1]] if hidden.shape[1] == rows.total else hidden
