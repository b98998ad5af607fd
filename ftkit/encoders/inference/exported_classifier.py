"""An exported encoder that answers texts, in the runtime that its network was opened in."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.encoders.batches import pad_arrays
from ftkit.encoders.inference import token_budget
from ftkit.encoders.inference.classifier import probabilities_of
from ftkit.encoders.inference.runtimes import Network
from ftkit.encoders.long_texts import LongTexts, Windows, flattened, pooled
from ftkit.encoders.tokenization import Tokenizer

if TYPE_CHECKING:
    import numpy as np

    from ftkit.contracts import Probabilities, Task

BUDGET = 256
"""Tokens of one call, padding included: more made no processor faster, and took more memory."""


class ExportedClassifier:
    """A model that answers through its exported network. Threads may share it.

    A call that runs alone is spread over all threads, by `multi_threaded`. Calls that run side by side have one thread
    each, by `single_threaded`: none waits for another between two matrix products, and each keeps to its own core's
    cache.
    """

    def __init__(
        self,
        multi_threaded: Network,
        single_threaded: Network,
        calls: int,
        folder: Path,
        tokenizer: Tokenizer,
        length: int,
        classes: tuple[str, ...],
        task: Task,
        temperature: float,
        long_texts: LongTexts,
    ) -> None:
        self._multi_threaded, self._single_threaded = multi_threaded, single_threaded
        self._running = 0
        self._lock = threading.Lock()
        self.calls = calls
        """Calls that may run side by side: one per thread."""
        self.folder = folder
        self.tokenizer = tokenizer
        self.length = length
        """Tokens of a row, special ones included."""
        self.long_texts = long_texts
        """What is read of a text that is longer than a row."""
        self.classes = classes
        self.task = task
        self.temperature = temperature
        """What the logits are divided by."""

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """Class probabilities, (texts, classes), float64; empty, endless and broken texts are answered too."""
        import numpy as np

        rows = self.read(texts)
        probabilities = np.empty((len(rows), len(self.classes)))
        batches = token_budget.batches(list(map(len, rows)), BUDGET)
        batch_rows = [[rows[index] for index in batch] for batch in batches]
        if len(batches) < max(self.calls, 2):
            results = iter([self.computed(rows) for rows in batch_rows])
        else:
            with ThreadPoolExecutor(self.calls) as threads:
                results = threads.map(partial(self._run, self._single_threaded), batch_rows)
        for batch, result in zip(batches, results, strict=True):
            probabilities[batch] = result
        return probabilities

    def read(self, texts: Sequence[str]) -> list[np.ndarray | Windows]:
        """Each text's row of token ids, or its windows."""
        return self.tokenizer.rows(texts, self.length, self.long_texts)

    def together(self, lengths: Sequence[int]) -> list[int]:
        """Indices of the waiting rows for the next call, all of similar length."""
        return token_budget.next_batch(lengths, BUDGET)

    def computed(self, rows: Sequence[np.ndarray | Windows]) -> Probabilities:
        """Class probabilities of what was read of texts, (texts, classes), in one call of the engine unless they have windows."""
        with self._lock:
            network = self._single_threaded if self._running else self._multi_threaded
            self._running += 1
        try:
            return self._run(network, rows)
        finally:
            with self._lock:
                self._running -= 1

    def _run(self, network: Network, texts: Sequence[np.ndarray | Windows]) -> Probabilities:
        import numpy as np

        rows, counts = flattened(texts)
        logits = np.empty((len(rows), len(self.classes)))
        one_call = [[*range(len(rows))]] if rows else []
        lengths = [*map(len, rows)]
        for batch in one_call if len(rows) == len(texts) else token_budget.batches(lengths, BUDGET):
            # No rounding of lengths: here no shape is slower than another.
            batch_rows = [rows[index] for index in batch]
            ids, mask = pad_arrays(batch_rows, self.tokenizer.padding, self.length, self.tokenizer.side, multiple=1)
            logits[batch] = network.run(ids, mask)
        return probabilities_of(pooled(logits, counts, self.long_texts.pooling), self.task, self.temperature)

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text that the model reads, special ones included."""
        return self.tokenizer.lengths(texts, self.length, self.long_texts)

    def save(self, folder: Path) -> None:
        """Write the whole model that it was exported from, its engines included. Raises: OSError."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
