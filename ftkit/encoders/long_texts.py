"""How a text is read that is longer than a row of tokens: its beginning, its beginning and end, or all of it in windows.

The way is stored beside the model, so that training, evaluation, engines and servers read alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from ftkit import files, strict_json
from ftkit.errors import BundleError

if TYPE_CHECKING:
    import numpy as np
    import torch

    from ftkit.encoders.config import EncoderConfig

Way = Literal["head", "head-tail", "windows"]
Pooling = Literal["mean", "max"]

FILE = "long_texts.json"

HEAD = 128 / 510
"""Share of a row that is the beginning of the text, where the rest is its end.

Source: Sun et al. 2019, "How to Fine-Tune BERT for Text Classification?", section 5.3.1.
"""
MOST_WINDOWS = 32
"""Windows of one text at most: 16,000 tokens, some thirty pages, at the usual limit of 512."""


@dataclass(frozen=True)
class LongTexts:
    """A way of reading long texts. All tokens below are those of the text, without special ones."""

    way: Way = "head"
    stride: int | None = None
    """Tokens between the beginnings of two windows; None for windows that do not overlap."""
    pooling: Pooling = "mean"
    """How the logits of a text's windows become one: by class, their mean or the largest.

    Source: Sun et al. 2019, section 5.3.2, which pools the windows' hidden states; here their logits, so that a text is one more
    row to everything that comes after.
    """

    def __post_init__(self) -> None:
        if self.way not in get_args(Way) or self.pooling not in get_args(Pooling):
            raise ValueError(f"no texts are read by {self.way!r} and {self.pooling!r}")
        if self.stride is not None and self.stride < 1:
            raise ValueError("stride must be at least 1")

    def parts(self, tokens: int, capacity: int) -> list[list[slice]]:
        """The rows of a text of so many tokens when `capacity` fit into a row; each is made of one slice, or two."""
        if tokens <= capacity or self.way == "head":
            return [[slice(0, capacity)]]
        if self.way == "head-tail":
            head = self.head(capacity)
            return [[slice(0, head), slice(tokens - (capacity - head), tokens)]]
        starts = [*range(0, tokens - capacity, self._step(capacity)), tokens - capacity]  # the last ends with the text
        return [[slice(start, start + capacity)] for start in starts[:MOST_WINDOWS]]

    def head(self, capacity: int) -> int:
        """How many tokens of a row are the beginning of a text where the others are its end."""
        return round(HEAD * capacity)

    def windows(self, tokens: np.ndarray, capacity: int) -> np.ndarray:
        """How many rows each text has."""
        import numpy as np

        if self.way != "windows":
            return np.ones_like(tokens)
        step = self._step(capacity)
        return np.minimum(-(-np.maximum(tokens - capacity, 0) // step) + 1, MOST_WINDOWS)

    def read(self, tokens: np.ndarray, capacity: int) -> np.ndarray:
        """How many tokens of each text are read, each counted once."""
        import numpy as np

        if self.way != "windows":
            return np.minimum(tokens, capacity)
        return np.minimum(tokens, (MOST_WINDOWS - 1) * self._step(capacity) + capacity)

    def _step(self, capacity: int) -> int:
        return max(min(self.stride or capacity, capacity), 1)


HEAD_ONLY = LongTexts()
"""The way that reads the beginning."""


class Windows:
    """The rows of one text; its length is the tokens of all of them, special ones included."""

    def __init__(self, rows: Sequence[np.ndarray]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return sum(map(len, self.rows))


def flattened(texts: Sequence[np.ndarray | Windows]) -> tuple[list[np.ndarray], list[int]]:
    """The rows of all texts, and how many each text has."""
    rows = [each.rows if isinstance(each, Windows) else (each,) for each in texts]
    return [row for each in rows for row in each], [len(each) for each in rows]


def pooled(logits: np.ndarray, counts: Sequence[int], pooling: Pooling) -> np.ndarray:
    """The logits of texts, (texts, classes), from those of their rows, (rows, classes)."""
    import numpy as np

    if len(counts) == len(logits):
        return logits
    starts = np.cumsum([0, *counts[:-1]])
    if pooling == "max":
        return np.maximum.reduceat(logits, starts)
    return np.add.reduceat(logits, starts) / np.asarray(counts)[:, None]


def pooled_tensor(logits: torch.Tensor, counts: Sequence[int], pooling: Pooling) -> torch.Tensor:
    """The same for tensors, with gradients."""
    import torch

    if len(counts) == len(logits):
        return logits
    return torch.segment_reduce(logits, pooling, lengths=torch.as_tensor(counts, device=logits.device))


def of(encoder: EncoderConfig) -> LongTexts:
    """The way that an encoder's options ask for."""
    return LongTexts(encoder.long_texts, encoder.stride, encoder.window_pooling)


def save(long_texts: LongTexts, folder: Path) -> None:
    """Write the way beside the model, unless it is the beginning. Raises: OSError."""
    if long_texts.way != "head":
        files.write_json(folder / FILE, asdict(long_texts))


def load(folder: Path) -> LongTexts:
    """The way of a saved model; the beginning if it says nothing. Raises: BundleError."""
    path = folder / FILE
    try:
        return LongTexts(**strict_json.read_object(path))
    except FileNotFoundError:
        return HEAD_ONLY
    except (OSError, ValueError, TypeError) as error:
        raise BundleError(
            f"how the model reads long texts is not known: {error}",
            where=str(path),
            hint="Fetch the bundle again from the registry, or run the recipe again.",
        ) from error
