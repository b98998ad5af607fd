"""AdamW on an embedding table that touches only the rows of a step's tokens, and is equal to touching all of them.

A batch has a few hundred of thirty thousand rows, while the table is half of a small encoder's parameters: its dense gradient, its
moments and its copies cost more memory traffic than they are worth. A row that is not touched still moves under AdamW, by its old
momentum and by weight decay. That is made up for in one go, before the row is read again.

For a row whose moments m and v are of step s, the steps k = s + 1 … t without a gradient come to

    W ← W · P(t)/P(s) − Σ lr(k) · P(t)/P(k) · m·β1^(k−s)/(1−β1^k) / (√(v·β2^(k−s)/(1−β2^k)) + ε),     P(n) = Π (1 − lr·decay)

and, but for ε, m/√v can be taken out of the sum, so that the rest is one number for each s. The ε is brought back to first order,
and exactly where it outweighs √v: see `_moved`.

Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", for AdamW; the sum follows from it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch

NEGLIGIBLE = 1e-9
"""Share of its momentum that a row may have left when it is taken to stand still."""
PART = 4096
"""Rows that are brought up to date at once: all of a table would take several times its memory."""


class Vocabulary:
    """The input embeddings of a model in training: its table in fp32, moments, and the step of each row's moments."""

    def __init__(self, embedding: Any, decay: float, betas: tuple[float, float], epsilon: float) -> None:
        import numpy as np
        import torch

        self.weight = embedding.weight
        """The model's own table, in the format that it computes in."""
        embedding.sparse = True  # its gradient holds the rows of the tokens alone
        rows = self.weight.shape[0]
        values = self.weight.detach().float()
        # A row's values, mean and square of gradients side by side: (rows, 3, width).
        self._state = torch.stack((values, torch.zeros_like(values), torch.zeros_like(values)), 1)
        self._of = torch.zeros(rows, dtype=torch.long)  # the step that each row is up to
        self._decay, self._betas, self._epsilon = decay, betas, epsilon
        self._step = 0
        self._whole = False
        self._touched: torch.Tensor | None = None  # (touched rows,)
        self._gradient: torch.Tensor | None = None  # (touched rows, width)
        # By step: the product P, and the sums of `_moved` over the steps after it.
        self._kept = np.ones(1)
        self._first, self._second = np.zeros(1), np.zeros(1)
        # After so many steps without a gradient nothing is left of a row's momentum.
        self._memory = max(1, math.ceil(math.log(NEGLIGIBLE) / math.log(betas[0]))) if betas[0] else 1

    @property
    def values(self) -> torch.Tensor:
        """The table in fp32, (rows, width)."""
        return self._state[:, 0]

    def catch_up(self, ids: torch.Tensor | None = None) -> None:
        """Bring the rows of these tokens up to date, or all, so that they may be read."""
        import torch

        rows = torch.arange(len(self._of)) if ids is None or self._whole else torch.unique(ids)
        rows = rows[self._of[rows] < self._step]
        for part in rows.split(PART) if len(rows) else ():
            self._make_up(part)

    def _make_up(self, rows: torch.Tensor) -> None:
        """Bring these rows, none of which is up to date, to this step."""
        import torch

        at = self._of[rows]
        state = self._state.index_select(0, rows)
        values, mean, square = state.unbind(1)
        steps = at.numpy()
        shrunk = torch.from_numpy(self._kept[-1] / self._kept[steps]).float()[:, None]
        values.mul_(shrunk).sub_(self._moved(mean, square, steps))
        since = (self._step - at).double()[:, None]
        mean.mul_((self._betas[0] ** since).float())
        square.mul_((self._betas[1] ** since).float())
        self._put(rows, state)

    def collect(self) -> torch.Tensor:
        """Take the gradient of a backward pass, summed by row, and free the model's own; returns it, (touched rows, width)."""
        import torch

        found = self.weight.grad
        self.weight.grad = None
        if found is None:
            self._touched = torch.zeros(0, dtype=torch.long)
            self._gradient = torch.zeros(0, self.values.shape[1])
        elif found.is_sparse:
            self._touched, place = torch.unique(found._indices()[0], return_inverse=True)
            self._gradient = torch.zeros(len(self._touched), self.values.shape[1])
            self._gradient.index_add_(0, place, found._values().float())
        else:  # the model reads its table in other ways than by tokens: from now on every row is kept up to date
            self._whole = True
            self._touched, self._gradient = torch.arange(len(self._of)), found.float()
        return self._gradient

    def update(self, rate: float, divisor: torch.Tensor | float = 1.0) -> None:
        """One step of AdamW by the gradient that was collected, over `divisor`; rows that it does not touch are left for later."""
        import torch

        assert self._touched is not None
        assert self._gradient is not None
        self._step += 1
        self._note(rate)
        rows, gradient = self._touched, self._gradient / divisor
        state = self._state.index_select(0, rows)
        values, mean, square = state.unbind(1)
        one, two = self._betas
        mean.lerp_(gradient, 1 - one)
        square.mul_(two).addcmul_(gradient, gradient, value=1 - two)
        spread = square.sqrt().div_(math.sqrt(1 - two**self._step)).add_(self._epsilon)
        # As tensors: a rate beyond single precision then ends as a loss that is no number, which the loop tells of.
        shrunk, by = torch.tensor([1 - rate * self._decay, rate / (1 - one**self._step)]).float()
        values.mul_(shrunk).sub_(mean.div(spread).mul_(by))
        self._put(rows, state)
        self._touched = self._gradient = None

    def _put(self, rows: torch.Tensor, state: torch.Tensor) -> None:
        """Keep rows as they are at this step, and give them to the model."""
        import torch

        self._state.index_copy_(0, rows, state)
        self._of[rows] = self._step
        with torch.no_grad():
            self.weight.index_copy_(0, rows, state[:, 0].to(self.weight.dtype))

    def _note(self, rate: float) -> None:
        """Add this step to the sums of all steps before it that some row may still be at."""
        import numpy as np

        t, (one, two) = self._step, self._betas
        kept = self._kept[-1] * (1 - rate * self._decay)
        self._kept = np.append(self._kept, kept)
        self._first, self._second = np.append(self._first, 0.0), np.append(self._second, 0.0)
        start = max(0, t - self._memory)
        since = t - np.arange(start, t)  # steps from each earlier one to this
        weight = rate / kept * one**since / (1 - one**t)
        spread = np.sqrt(two**since / (1 - two**t))
        self._first[start:t] += weight / spread
        self._second[start:t] += weight / spread**2

    def _moved(self, mean: torch.Tensor, square: torch.Tensor, steps: np.ndarray) -> torch.Tensor:
        """How far rows at these steps have moved since by their old momentum, (rows, width).

        With w(k) the weight and r(k) the spread of step k, the sum of w(k)·m / (√v·r(k) + ε) is m·A / (√v + ε·B/A) for
        A = Σ w(k)/r(k) and B = Σ w(k)/r(k)²: to first order in ε/√v, and in the limit of a large one where r(k) is alike.
        """
        import numpy as np
        import torch

        first, second = self._first[steps], self._second[steps]
        ratio = np.divide(second, first, out=np.ones_like(first), where=first > 0)
        by = torch.from_numpy(self._kept[-1] * first).float()[:, None]
        spread = square.sqrt().add_(torch.from_numpy(self._epsilon * ratio).float()[:, None])
        return mean * by / spread


def of(model: Any, decay: float, betas: tuple[float, float], epsilon: float) -> Vocabulary | None:
    """The vocabulary of a model whose input embeddings are a table of its own, else None."""
    from torch import nn

    embedding = model.get_input_embeddings()
    if type(embedding) is not nn.Embedding or embedding.max_norm is not None or embedding.scale_grad_by_freq:
        return None
    holders = sum(
        parameter is embedding.weight for module in model.modules() for parameter in module._parameters.values()
    )
    if holders != 1 or not embedding.weight.requires_grad:  # tied to an output, or frozen
        return None
    return Vocabulary(embedding, decay, betas, epsilon)
