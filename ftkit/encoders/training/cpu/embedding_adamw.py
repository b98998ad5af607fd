"""AdamW for an embedding table that updates only the rows of a step's tokens, with the result of updating all of them.

A batch has a few hundred of thirty thousand rows, while the table is half of a small encoder's parameters: its dense
gradient, its moments and its copies cost more memory traffic than they are worth. A row without a gradient still moves
under AdamW, by its old momentum and by weight decay. These updates are deferred, and applied in one operation before
the row is read again.

For a row whose moments m and v are of step s, the steps k = s + 1 … t without a gradient come to

    W ← W · P(t)/P(s) − Σ lr(k) · P(t)/P(k) · m·β1^(k−s)/(1−β1^k) / (√(v·β2^(k−s)/(1−β2^k)) + ε),     P(n) = Π (1 − lr·decay)

and, but for ε, m/√v can be taken out of the sum, so that the rest is one number for each s. ε is added back to first
order, and exactly where it outweighs √v: see `_momentum_update`.

Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", for AdamW; the sum follows from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ftkit.encoders.training.distributed import gather

if TYPE_CHECKING:
    import numpy as np
    import torch

NEGLIGIBLE = 1e-9
"""Share of its momentum below which a row no longer moves."""
CHUNK = 4096
"""Rows that are brought up to date at once: a whole table would take several times its memory."""


class EmbeddingAdamW:
    """The table in fp32, its moments, and for each row the step up to which it has been updated."""

    def __init__(
        self, embedding: Any, decay: float, betas: tuple[float, float], epsilon: float, ranks: int = 1
    ) -> None:
        """`ranks` is the number of processes that train the model together, each with a table of its own that stays the same."""
        import numpy as np
        import torch

        self._ranks = ranks
        self._read: list[torch.Tensor] = []  # ids whose rows this process brought up to date since the last step
        self.weight = embedding.weight
        """The model's own table, in the format that it computes in."""
        embedding.sparse = True  # the gradient then holds the rows of the tokens alone
        rows = self.weight.shape[0]
        values = self.weight.detach().float()
        # Of each row the values, the mean of gradients and the mean of their squares: (rows, 3, width).
        self._state = torch.stack((values, torch.zeros_like(values), torch.zeros_like(values)), 1)
        self._row_step = torch.zeros(rows, dtype=torch.long)  # the step up to which each row has been updated
        self._decay, self._betas, self._epsilon = decay, betas, epsilon
        self._step = 0
        self._always_all = False  # every row is kept up to date
        self._touched: torch.Tensor | None = None  # (touched rows,)
        self._gradient: torch.Tensor | None = None  # (touched rows, width)
        # By step: the product P, and the two sums of `_momentum_update` over the steps after it.
        self._decay_product = np.ones(1)
        self._first, self._second = np.zeros(1), np.zeros(1)
        # After this many steps without a gradient nothing is left of a row's momentum.
        self._memory = max(1, math.ceil(math.log(NEGLIGIBLE) / math.log(betas[0]))) if betas[0] else 1

    @property
    def values(self) -> torch.Tensor:
        """The table in fp32, (rows, width)."""
        return self._state[:, 0]

    def state(self) -> dict[str, torch.Tensor]:
        """All that later steps depend on; deferred updates stay deferred."""
        import torch

        sums = torch.stack([torch.from_numpy(each) for each in (self._decay_product, self._first, self._second)])
        steps = torch.tensor([self._step, self._always_all])
        return {"rows": self._state, "row_step": self._row_step, "sums": sums, "steps": steps}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `state` returned; the model gets its table."""
        import torch

        self._state.copy_(state["rows"])
        self._row_step.copy_(state["row_step"])
        self._decay_product, self._first, self._second = (each.copy() for each in state["sums"].numpy())
        self._step, self._always_all = int(state["steps"][0]), bool(state["steps"][1])
        with torch.no_grad():
            self.weight.copy_(self.values)

    def apply_deferred(self, ids: torch.Tensor | None = None) -> None:
        """Apply the deferred updates of these tokens' rows, or of all rows, before they are read."""
        import torch

        rows = torch.arange(len(self._row_step)) if ids is None or self._always_all else torch.unique(ids)
        if self._ranks > 1 and ids is not None:
            self._read.append(rows)
        rows = rows[self._row_step[rows] < self._step]
        for chunk in rows.split(CHUNK) if len(rows) else ():
            self._apply_deferred(chunk)

    def _apply_deferred(self, rows: torch.Tensor) -> None:
        """Bring these rows, none of which is up to date, to this step."""
        import torch

        row_step = self._row_step[rows]
        state = self._state.index_select(0, rows)
        values, mean, square = state.unbind(1)
        steps = row_step.numpy()
        shrunk = torch.from_numpy(self._decay_product[-1] / self._decay_product[steps]).float()[:, None]
        values.mul_(shrunk).sub_(self._momentum_update(mean, square, steps))
        elapsed = (self._step - row_step).double()[:, None]
        mean.mul_((self._betas[0] ** elapsed).float())
        square.mul_((self._betas[1] ** elapsed).float())
        self._store(rows, state)

    def collect(self) -> torch.Tensor:
        """Take the gradient of a backward pass from the model, and return it summed by row, (touched rows, width)."""
        import torch

        gradient = self.weight.grad
        self.weight.grad = None
        if gradient is None:
            self._touched = torch.zeros(0, dtype=torch.long)
            self._gradient = torch.zeros(0, self.values.shape[1])
        elif gradient.is_sparse:
            self._touched, place = torch.unique(gradient._indices()[0], return_inverse=True)
            self._gradient = torch.zeros(len(self._touched), self.values.shape[1])
            self._gradient.index_add_(0, place, gradient._values().float())
        else:  # the model does not only look up tokens in its table: from now on every row is kept up to date
            self._always_all = True
            self._touched, self._gradient = torch.arange(len(self._row_step)), gradient.float()
        if self._ranks > 1:
            self._touched, self._gradient = self._exchanged(self._touched, self._gradient)
        return self._gradient

    def _exchanged(self, touched: torch.Tensor, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The rows and the mean gradient of all processes, which also bring the rows up to date that any of them has read."""
        import torch

        own = (torch.cat([*self._read, touched]).unique(), touched, gradient, self._always_all)
        shares = gather(own, self._ranks)
        self.apply_deferred(torch.cat([read for read, *_ in shares]))
        self._read = []
        self._always_all = any(always_all for *_, always_all in shares)
        rows = torch.cat([each for _, each, *_ in shares]).unique()
        total = torch.zeros(len(rows), self.values.shape[1])
        for _, share_rows, share, _ in shares:
            total.index_add_(0, torch.searchsorted(rows, share_rows), share)
        return rows, total / self._ranks

    def update(self, rate: float, divisor: torch.Tensor | float = 1.0) -> None:
        """One step of AdamW with the collected gradient over `divisor`; the updates of all other rows are deferred."""
        import torch

        assert self._touched is not None
        assert self._gradient is not None
        self._step += 1
        self._record_step(rate)
        rows, gradient = self._touched, self._gradient / divisor
        state = self._state.index_select(0, rows)
        values, mean, square = state.unbind(1)
        beta1, beta2 = self._betas
        mean.lerp_(gradient, 1 - beta1)
        square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        denominator = square.sqrt().div_(math.sqrt(1 - beta2**self._step)).add_(self._epsilon)
        # As tensors: a rate beyond single precision then makes the loss no number, which the training loop reports.
        shrunk, size = torch.tensor([1 - rate * self._decay, rate / (1 - beta1**self._step)]).float()
        values.mul_(shrunk).sub_(mean.div(denominator).mul_(size))
        self._store(rows, state)
        self._touched = self._gradient = None

    def _store(self, rows: torch.Tensor, state: torch.Tensor) -> None:
        """Keep rows as they are at this step, and write them to the model."""
        import torch

        self._state.index_copy_(0, rows, state)
        self._row_step[rows] = self._step
        with torch.no_grad():
            self.weight.index_copy_(0, rows, state[:, 0].to(self.weight.dtype))

    def _record_step(self, rate: float) -> None:
        """Add this step to the sums of all earlier steps that a row may still be at."""
        import numpy as np

        step, (beta1, beta2) = self._step, self._betas
        product = self._decay_product[-1] * (1 - rate * self._decay)
        self._decay_product = np.append(self._decay_product, product)
        self._first, self._second = np.append(self._first, 0.0), np.append(self._second, 0.0)
        start = max(0, step - self._memory)
        elapsed = step - np.arange(start, step)  # steps from each earlier one to this
        weight = rate / product * beta1**elapsed / (1 - beta1**step)
        spread = np.sqrt(beta2**elapsed / (1 - beta2**step))
        self._first[start:step] += weight / spread
        self._second[start:step] += weight / spread**2

    def _momentum_update(self, mean: torch.Tensor, square: torch.Tensor, steps: np.ndarray) -> torch.Tensor:
        """How far rows at these steps have moved since then by their old momentum, (rows, width).

        With w(k) the weight and r(k) the spread of step k, the sum of w(k)·m / (√v·r(k) + ε) is m·A / (√v + ε·B/A) for
        A = Σ w(k)/r(k) and B = Σ w(k)/r(k)²: to first order in ε/√v, and in the limit of a large one if all r(k) are
        similar.
        """
        import numpy as np
        import torch

        first, second = self._first[steps], self._second[steps]
        ratio = np.divide(second, first, out=np.ones_like(first), where=first > 0)
        factor = torch.from_numpy(self._decay_product[-1] * first).float()[:, None]
        denominator = square.sqrt().add_(torch.from_numpy(self._epsilon * ratio).float()[:, None])
        return mean * factor / denominator


def for_model(
    model: Any, decay: float, betas: tuple[float, float], epsilon: float, ranks: int = 1
) -> EmbeddingAdamW | None:
    """The optimizer of a model's input embeddings; None unless they are a trained table that nothing else shares."""
    from torch import nn

    embedding = model.get_input_embeddings()
    if type(embedding) is not nn.Embedding or embedding.max_norm is not None or embedding.scale_grad_by_freq:
        return None
    uses = sum(parameter is embedding.weight for module in model.modules() for parameter in module._parameters.values())
    if uses != 1 or not embedding.weight.requires_grad:  # tied to an output, or frozen
        return None
    return EmbeddingAdamW(embedding, decay, betas, epsilon, ranks)
