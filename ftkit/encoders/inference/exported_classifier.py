"""An exported encoder answering texts, in whatever runtime its network was opened."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.encoders.batches import padded
from ftkit.encoders.inference.classifier import softmax
from ftkit.encoders.inference.runtimes import Network
from ftkit.encoders.inference.token_budget import portions, together
from ftkit.encoders.tokenization import Words

if TYPE_CHECKING:
    import numpy as np

    from ftkit.contracts import Probabilities

BUDGET = 256
"""Tokens computed at once, padding included: more made no processor faster, and took more memory."""


class ExportedClassifier:
    """A model that answers through its exported network. Threads may share it.

    A call that is alone is spread over all threads, by `wide`. Calls that go on side by side have a thread each, by
    `narrow`: none then waits for another between two products, and each keeps to its own core's cache.
    """

    def __init__(
        self,
        wide: Network,
        narrow: Network,
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
            network = self._narrow if self._going else self._wide
            self._going += 1
        try:
            return self._run(network, rows)
        finally:
            with self._counting:
                self._going -= 1

    def _run(self, network: Network, rows: Sequence[np.ndarray]) -> Probabilities:
        import numpy as np

        if not rows:
            return np.empty((0, len(self.classes)))
        given = padded(rows, self.words.padding, self.length, self.words.side, 1)  # any shape is as good as another
        return softmax(network.run(*given).astype(np.float64), self.temperature)

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text that the model reads, special ones included."""
        return self.words.lengths(texts, self.length)

    def save(self, folder: Path) -> None:
        """Write the whole model it belongs to, its engines included. Raises: OSError."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
