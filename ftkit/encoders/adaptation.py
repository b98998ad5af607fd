"""The numbers that an encoder is trained with where its recipe leaves them to the data.

Few rows need more epochs than the three of the BERT paper: with these, a training of a thousand rows ends before the head
of the model has moved, above all with many classes. Each rule is stated at its function; `python -m benchmarks datasets`
measures them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftkit.encoders import long_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from ftkit.contracts import Data
    from ftkit.encoders.config import EncoderConfig
    from ftkit.encoders.tokenization import Tokenizer

STEPS = 1_000
"""Steps that a training has at least, unless that takes more than `MOST_EPOCHS`."""
STEPS_PER_CLASS = 50
"""Steps that a training has at least for each class: a class of many is in few of them."""
FEWEST_EPOCHS = 3
"""Epochs of a training on many rows. Source: Devlin et al. 2019, "BERT", section A.3."""
MOST_EPOCHS = 20
"""Epochs of a training on few rows. Source: Mosbach et al. 2021, "On the Stability of Fine-tuning BERT", section 6."""
MOST_TOKENS = 4_000_000
"""Tokens that are read in all epochs together at most, unless that is fewer than `FEWEST_EPOCHS`: a long text teaches more in
an epoch than a short one, and costs more. MiniLM takes ten minutes for them on two cores."""
MANY_ROWS = 20_000
"""From this many rows on, batches are twice as large: there are steps enough."""
FEW_ROWS = 500
"""Rows a class below which the learning rate is the higher one. Source: measured with MiniLM, whose higher rate is better at 16
rows a class, and whose usual one at 800."""
FASTER = {"full": 1.0, "lora": 10.0, "head": 30.0}
"""How many times the rate of full fine-tuning suits what is trained. Source: Hu et al. 2022, "LoRA", appendix D, whose rates for
RoBERTa are 2e-4 to 5e-4; for a head alone measured with MiniLM."""
MOST_TEXTS = 10_000
"""Training texts whose lengths are looked at, evenly spaced."""
SHARE = 0.98
"""Share of the training texts that are read whole."""
LONGEST = 512
"""Tokens that are read at most: the cost of a row grows faster than its length."""
SHORTEST = 64
"""Tokens that are read at least: texts that come later may be longer than those of the training."""
MULTIPLE = 16
"""Lengths are multiples of this, as those of batches are."""


@dataclass(frozen=True)
class Numbers:
    """The options of an encoder that a recipe may leave to the data."""

    learning_rate: float
    epochs: int
    batch_size: int
    max_length: int


def numbers(encoder: EncoderConfig, data: Data) -> Numbers:
    """The encoder's options, with a number in place of each "auto": the same for the same training rows.

    Texts are read only if `epochs` or `max_length` is "auto". Raises: CheckpointError.
    """
    rows, classes = len(data.train), len(data.classes)
    rate = (
        learning_rate(rows, classes, encoder.learning_rates) * FASTER[encoder.tuning]
        if encoder.learning_rate == "auto"
        else encoder.learning_rate
    )
    size = batch_size(rows) if encoder.batch_size == "auto" else encoder.batch_size
    if encoder.epochs != "auto" and encoder.max_length != "auto":
        return Numbers(rate, encoder.epochs, size, encoder.max_length)
    tokenizer, in_texts = texts_read(encoder, data)
    length = auto_length(tokenizer, in_texts) if encoder.max_length == "auto" else encoder.max_length
    tokens = rows * int(tokenizer.row_tokens(in_texts, length, long_texts.of(encoder)).sum()) // max(len(in_texts), 1)
    return Numbers(rate, epochs(rows, classes, tokens) if encoder.epochs == "auto" else encoder.epochs, size, length)


def learning_rate(rows: int, classes: int, rates: tuple[float, float]) -> float:
    """The usual one of two rates, or the other where classes have fewer than `FEW_ROWS` rows on average."""
    usual, for_few_rows = rates
    return for_few_rows if rows < FEW_ROWS * classes else usual


def epochs(rows: int, classes: int, tokens: int) -> int:
    """Epochs for `STEPS` steps, or `STEPS_PER_CLASS`, of `batch_size` rows that have so many tokens in all.

    No more than `MOST_EPOCHS` and `MOST_TOKENS` allow, but at least `FEWEST_EPOCHS`.
    """
    enough = -(-max(STEPS, STEPS_PER_CLASS * classes) * batch_size(rows) // max(rows, 1))
    return max(min(enough, MOST_EPOCHS, MOST_TOKENS // max(tokens, 1)), FEWEST_EPOCHS)


def batch_size(rows: int) -> int:
    """Rows of a step: 16, or 32 from `MANY_ROWS` on."""
    return 16 if rows < MANY_ROWS else 32


def max_length(lengths: Sequence[int] | np.ndarray, limit: int) -> int:
    """The shortest length that cuts no more texts than `SHARE` allows, within `SHORTEST`, `LONGEST` and the model's limit.

    `lengths` are those of the training texts in tokens, special ones included.
    """
    import numpy as np

    needed = int(np.quantile(lengths, SHARE, method="inverted_cdf")) if len(lengths) else 0
    return min(max(-(-needed // MULTIPLE) * MULTIPLE, SHORTEST), LONGEST, limit)


def auto_length(tokenizer: Tokenizer, tokens: np.ndarray) -> int:
    """`max_length` for texts of so many tokens, special ones not counted."""
    return max_length(tokens + tokenizer.added, tokenizer.limit)


def texts_read(encoder: EncoderConfig, data: Data) -> tuple[Tokenizer, np.ndarray]:
    """The encoder's tokenizer, and the tokens of training texts as far as they can be read. Raises: CheckpointError."""
    import numpy as np

    from ftkit.encoders.checkpoint import open_checkpoint
    from ftkit.encoders.paired_rows import tokenizer_of

    tokenizer = tokenizer_of(open_checkpoint(encoder), paired=len(data.fields) > 1)
    texts = data.train.texts[:: -(-len(data.train) // MOST_TEXTS) or 1]
    return tokenizer, np.array([*map(len, tokenizer.needed(texts, long_texts.of(encoder)))], dtype=np.int64)
