"""A model and its optimizer on whatever this process runs on: a CPU, a GPU, or one of several processes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ftkit.encoders.training import precision
from ftkit.encoders.training.cpu import embedding_adamw
from ftkit.encoders.training.cpu.adamw import Optimizer

if TYPE_CHECKING:
    import torch

    from ftkit.encoders.config import EncoderConfig, Precision


def accelerator(wanted: Precision) -> tuple[Any, str]:
    """The hardware as `accelerate` finds it, and the number format to train in there. Raises: StageError."""
    import torch
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import parse_flag_from_env

    found = None if parse_flag_from_env("ACCELERATE_USE_CPU") else torch.accelerator.current_accelerator(True)
    device = found.type if found else "cpu"
    number_format = precision.choose(wanted, device)
    # On a CPU the weights themselves are bf16, see `Optimizer`; elsewhere autocast is the proven way.
    mixed = number_format if device != "cpu" and number_format != "fp32" else "no"
    AcceleratorState._reset_state()  # it would hold a second training of one process to the precision of the first
    return Accelerator(mixed_precision=mixed, cpu=device == "cpu"), number_format


class Learner:
    """What the training loop needs of a model: logits, a backward pass, an update, and its weights to keep."""

    def __init__(self, model: Any, encoder: EncoderConfig, accelerator: Any, number_format: str, seed: int) -> None:
        import torch

        from ftkit.encoders.training.cpu import dropout

        self._accelerator = accelerator
        self.device = accelerator.device
        self._norm = encoder.max_grad_norm
        self._own: Optimizer | None = None  # on a CPU; elsewhere torch's
        self._vocabulary: embedding_adamw.Vocabulary | None = None
        if self.device.type == "cpu" and number_format == "bf16":
            precision.to_bfloat16(model)
        # Dropout differs between processes, while the weights they start from are the same.
        own_seed = seed * accelerator.num_processes + accelerator.process_index
        torch.manual_seed(own_seed)
        if self.device.type == "cpu":
            dropout.replace(model, own_seed)
        self.model = model.to(self.device)
        betas = (encoder.adam_beta1, encoder.adam_beta2)
        if self.device.type == "cpu" and accelerator.num_processes == 1:
            self._vocabulary = embedding_adamw.of(model, encoder.weight_decay, betas, encoder.adam_epsilon)
        table = self._vocabulary.weight if self._vocabulary else None
        groups = precision.groups(model, encoder.weight_decay, without=table)
        if self.device.type == "cpu":
            self._model = accelerator.prepare(model) if accelerator.num_processes > 1 else model
            self._own = Optimizer(groups, betas, encoder.adam_epsilon)  # after it: to prepare may move parameters
            return
        optimizer = torch.optim.AdamW(
            groups, lr=encoder.learning_rate, betas=betas, eps=encoder.adam_epsilon, fused=self.device.type == "cuda"
        )
        self._model, self._optimizer = accelerator.prepare(model, optimizer)

    def logits(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Of a batch of token ids, (rows, length): (rows, classes), fp32."""
        if self._vocabulary:
            self._vocabulary.catch_up(ids)
        return self._model(input_ids=ids.to(self.device), attention_mask=mask.to(self.device)).logits.float()

    def exchange(self, last: bool) -> Any:
        """The context of one part of a batch: processes exchange gradients with the last part only."""
        return contextlib.nullcontext() if last else self._accelerator.no_sync(self._model)

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradients of a loss."""
        self._accelerator.backward(loss)

    def update(self, rate: float) -> None:
        """One step of AdamW along the gradients, clipped by their global norm; forgets them."""
        if self._own:
            gradient = self._vocabulary.collect() if self._vocabulary else None
            divisor = self._divisor(self._own, gradient)
            if self._vocabulary:
                self._vocabulary.update(rate, divisor)
            self._own.step(rate, divisor)
            return
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        if self._norm:
            self._accelerator.clip_grad_norm_(self.model.parameters(), self._norm)
        self._optimizer.step()
        self._optimizer.zero_grad()

    def _divisor(self, own: Optimizer, gradient: torch.Tensor | None) -> torch.Tensor:
        """What gradients, the vocabulary's among them, are divided by to have at most the global norm that is allowed.

        Source: torch's `clip_grad_norm_`, which multiplies by the inverse.
        """
        import torch

        if not self._norm:
            return torch.ones(())
        squared = own.squared_norm()
        if gradient is not None:
            squared += torch.linalg.vector_norm(gradient) ** 2
        return ((squared.sqrt() + 1e-6) / self._norm).clamp(min=1)

    def settle(self) -> None:
        """Bring the model up to date as a whole, so that it may be read in any way: evaluated, or kept."""
        if self._vocabulary:
            self._vocabulary.catch_up()

    def weights(self) -> dict[str, torch.Tensor]:
        """A copy of the model's weights as they are now, on the CPU, in the precision they are trained in."""
        import torch

        self.settle()
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        own = {names[id(each)]: value for each, value in (self._own.values() if self._own else ())}
        if self._vocabulary:
            own[names[id(self._vocabulary.weight)]] = self._vocabulary.values

        def copied(value: torch.Tensor) -> torch.Tensor:
            half = value.dtype in (torch.bfloat16, torch.float16)
            return value.detach().to("cpu", torch.float32 if half else value.dtype, copy=True)

        return {name: copied(own.get(name, value)) for name, value in self.model.state_dict().items()}
