"""A data set of generated reviews, of any task, for tests."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar

from ftkit.contracts import Data, Emit, Task
from ftkit.data.rows import Rows
from ftkit.data.splits import Rules, split


@dataclass(frozen=True, kw_only=True)
class ToyReviews:
    """Short generated reviews, good and bad, with some noise; of several labels both or neither, in an order also fair ones."""

    name: ClassVar[str] = "toy-reviews"
    rows: int = 240
    """How many reviews to generate."""
    task: Task = "single-label"
    """What is asked of a review."""

    def load(self, seed: int, emit: Emit) -> Data:
        if self.task != "single-label":
            return self._load(seed)
        words = {
            "bad": ["broke", "cheap", "refund", "noisy", "cracked", "useless", "late", "rattles"],
            "good": ["sturdy", "bright", "easy", "perfect", "quiet", "solid", "quick", "happy"],
        }
        generator = random.Random(seed)
        rows = Rows(source="generated")
        for number in range(self.rows):
            label = generator.choice(sorted(words))
            other = "bad" if label == "good" else "good"
            kinds = generator.choices([words[label], words[other], ["it", "the", "is", "and", "lamp"]], [4, 1, 4], k=9)
            rows.add(" ".join([*map(generator.choice, kinds), f"order {number}"]), label)
        return split(rows, ("bad", "good"), Rules(seed=seed))

    def _load(self, seed: int) -> Data:
        """Reviews of another task."""
        words = {"bad": ["broke", "cheap", "refund", "noisy"], "good": ["sturdy", "bright", "easy", "perfect"]}
        generator = random.Random(seed)
        rows = Rows(source="generated")
        several = self.task == "multi-label"
        classes = ("bad", "good") if several else ("bad", "fair", "good")
        for number in range(self.rows):
            own = [name for name in words if generator.random() < 0.5]
            label = own if several else {0: "bad", 1: "fair", 2: "good"}[generator.randrange(3)]
            told = own if several else ["bad", "good"] if label == "fair" else [str(label)]
            kinds = [words[name] for name in told for _ in range(4 // len(told))] + [["it", "the", "is", "lamp"]] * 4
            rows.add(" ".join([*map(generator.choice, kinds), f"order {number}"]), label)
        order = () if several else classes
        return split(rows, classes, Rules(seed=seed, task=self.task, order=order))
