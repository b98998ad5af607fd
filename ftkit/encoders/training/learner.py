"""A model and its optimizer on the hardware of this process: a CPU, a GPU, or one of several that train together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ftkit.encoders import layers, packing
from ftkit.encoders.paired_rows import inputs
from ftkit.encoders.training import precision, tuning
from ftkit.encoders.training.cpu import embedding_adamw
from ftkit.encoders.training.cpu.adamw import CpuAdamW

if TYPE_CHECKING:
    import torch

    from ftkit.encoders.config import EncoderConfig, Precision
    from ftkit.encoders.training.cpu import dropout


def find_hardware(wanted: Precision) -> tuple[Any, str]:
    """The hardware, as an `Accelerator`, and the number format to train in on it. Raises: StageError."""
    import torch
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import parse_flag_from_env

    device = None if parse_flag_from_env("ACCELERATE_USE_CPU") else torch.accelerator.current_accelerator(True)
    device_type = device.type if device else "cpu"
    number_format = precision.choose(wanted, device_type)
    # On a CPU the weights themselves are in bf16, see `CpuAdamW`; elsewhere autocast is the established way.
    mixed = number_format if device_type != "cpu" and number_format != "fp32" else "no"
    AcceleratorState._reset_state()  # it would force the precision of an earlier training in this process
    return Accelerator(mixed_precision=mixed, cpu=device_type == "cpu"), number_format


class Learner:
    """What the training loop needs of a model: logits, a backward pass, an update, and a copy of its weights."""

    def __init__(self, model: Any, encoder: EncoderConfig, accelerator: Any, number_format: str, seed: int) -> None:
        import torch

        from ftkit.encoders.training.cpu import blocks, dropout

        self._accelerator = accelerator
        self._masks: dropout.DropoutMasks | None = None
        self._packing: packing.Packing | None = None
        self.ranks, self.rank = accelerator.num_processes, accelerator.process_index
        self.device = accelerator.device
        self._max_norm = encoder.max_grad_norm
        self._in_part = encoder.tuning != "full"
        self._cpu_adamw: CpuAdamW | None = None  # elsewhere torch's
        self._embedding: embedding_adamw.EmbeddingAdamW | None = None
        if self.device.type == "cpu":
            self._packing = packing.of(model)  # which is compared in single precision, and so are blocks
            blocks.replace(model)
            if number_format == "bf16":
                precision.to_bfloat16(model)
        # Processes start from the same weights, but each has dropout of its own.
        process_seed = seed * accelerator.num_processes + accelerator.process_index
        torch.manual_seed(process_seed)
        if self.device.type == "cpu":
            self._masks = dropout.replace(model, process_seed)
        self.model = model.to(self.device)
        if self.device.type == "cuda":
            self._packing = packing.of(self.model)
        betas = (encoder.adam_beta1, encoder.adam_beta2)
        if self.device.type == "cpu":
            self._embedding = embedding_adamw.for_model(
                model, encoder.weight_decay, betas, encoder.adam_epsilon, self.ranks
            )
        shares = rate_shares(model, encoder.layer_decay)
        table = self._embedding.weight if self._embedding else None
        self._embedding_share = 1.0
        if table is not None and self.ranks > 1:  # it exchanges the gradients of its rows itself
            names = [name for name, parameter in model.named_parameters() if parameter is table]
            torch.nn.parallel.DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, names)
        if table is not None and shares:
            self._embedding_share = next(shares[name] for name, each in model.named_parameters() if each is table)
        groups = precision.parameter_groups(model, encoder.weight_decay, excluded=table, shares=shares)
        if encoder.gradient_checkpointing:
            tuning.checkpoint_layers(model, self._masks)
        if self.device.type == "cpu":
            self._model = accelerator.prepare(model) if accelerator.num_processes > 1 else model
            self._cpu_adamw = CpuAdamW(groups, betas, encoder.adam_epsilon)  # last, since `prepare` may move parameters
            return
        optimizer = torch.optim.AdamW(groups, betas=betas, eps=encoder.adam_epsilon, fused=self.device.type == "cuda")
        self._model, self._optimizer = accelerator.prepare(model, optimizer)

    def logits(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits, (rows, classes), fp32, of token ids, with their types if rows have them, and attention mask, (rows, length)."""
        named = inputs(ids, mask)
        if self._embedding:
            self._embedding.apply_deferred(named["input_ids"])
        if self._packing:
            return self._packing.logits(self._model, named, self.device).logits.float()
        return self._model(**{name: packing.moved(each, self.device) for name, each in named.items()}).logits.float()

    def synchronise_if(self, last: bool) -> Any:
        """The context of a micro-batch: processes exchange gradients in the last one of a batch only."""
        return contextlib.nullcontext() if last else self._accelerator.no_sync(self._model)

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradients of a loss to those of the batch."""
        self._accelerator.backward(loss)

    def update(self, rate: float) -> None:
        """One step of AdamW by the gradients, clipped by their global norm; frees them."""
        if self._cpu_adamw:
            embedding_gradient = self._embedding.collect() if self._embedding else None
            divisor = self._clipping_divisor(self._cpu_adamw, embedding_gradient)
            if self._embedding:
                self._embedding.update(rate * self._embedding_share, divisor)
            self._cpu_adamw.step(rate, divisor)
            return
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["share"]
        if self._max_norm:
            self._accelerator.clip_grad_norm_(self.model.parameters(), self._max_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()

    def _clipping_divisor(self, adamw: CpuAdamW, embedding_gradient: torch.Tensor | None) -> torch.Tensor:
        """What all gradients are divided by, so that their global norm is at most the allowed one.

        Source: torch's `clip_grad_norm_`, which multiplies by the inverse.
        """
        import torch

        if not self._max_norm:
            return torch.ones(())
        squared = adamw.squared_norm()
        if embedding_gradient is not None:
            squared += torch.linalg.vector_norm(embedding_gradient) ** 2
        return ((squared.sqrt() + 1e-6) / self._max_norm).clamp(min=1)

    def apply_deferred(self) -> None:
        """Apply all deferred updates of the embeddings: required before the model is evaluated or copied."""
        if self._embedding:
            self._embedding.apply_deferred()

    def state(self) -> dict[str, torch.Tensor]:
        """All that later steps depend on and that is the same in every process: the tensors themselves, no copies."""
        if self._cpu_adamw:
            embedding = self._embedding.state() if self._embedding else {}
            return {**_under("optimizer", self._cpu_adamw.state()), **_under("embedding", embedding)}
        moments = self._optimizer.state_dict()["state"]
        return {
            **_under("value", {name: value.detach() for name, value in self._trained()}),
            **{f"optimizer.{index}.{name}": value for index, each in moments.items() for name, value in each.items()},
            **_under("scaler", self._scaler_state()),
        }

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `state` returned in a training of the same kind."""
        import torch

        if self._cpu_adamw:
            self._cpu_adamw.restore(within("optimizer", state))
            if self._embedding:
                self._embedding.restore(within("embedding", state))
            return
        with torch.no_grad():
            for name, parameter in self._trained():
                parameter.copy_(state[f"value.{name}"])
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in within("optimizer", state).items():
            index, name = key.split(".")
            moments.setdefault(int(index), {})[name] = value
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": moments})
        if scaler := within("scaler", state):
            numbers = {"scale": float(scaler["scale"]), "_growth_tracker": int(scaler["growth"])}
            self._accelerator.scaler.load_state_dict({**self._accelerator.scaler.state_dict(), **numbers})

    def _scaler_state(self) -> dict[str, torch.Tensor]:
        import torch

        if not (scaler := self._accelerator.scaler):
            return {}
        numbers = scaler.state_dict()
        return {"scale": torch.tensor(numbers["scale"]), "growth": torch.tensor(numbers["_growth_tracker"])}

    def random_state(self) -> dict[str, torch.Tensor]:
        """The state of all that this process draws at random: torch's generators, and dropout's."""
        import torch

        on_device = {"device": torch.cuda.get_rng_state(self.device)} if self.device.type == "cuda" else {}
        masks = self._masks.state() if self._masks else {}
        return {"torch": torch.get_rng_state(), **on_device, **_under("dropout", masks)}

    def restore_random(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `random_state` returned."""
        import torch

        torch.set_rng_state(state["torch"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["device"], self.device)
        if self._masks:
            self._masks.restore(within("dropout", state))

    def _trained(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """The parameters that are trained, by name."""
        return (pair for pair in self.model.named_parameters() if pair[1].requires_grad)

    def weights(self) -> dict[str, torch.Tensor]:
        """A copy of the model's weights on the CPU, in fp32 where they are trained in it; of a model trained in part, that part."""
        import torch

        self.apply_deferred()
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        fp32_values = {
            names[id(parameter)]: value for parameter, value in (self._cpu_adamw.values() if self._cpu_adamw else ())
        }
        if self._embedding:
            fp32_values[names[id(self._embedding.weight)]] = self._embedding.values

        def copied(value: torch.Tensor) -> torch.Tensor:
            half = value.dtype in (torch.bfloat16, torch.float16)
            return value.detach().to("cpu", torch.float32 if half else value.dtype, copy=True)

        values: dict[str, torch.Tensor] = dict(self._trained()) if self._in_part else self.model.state_dict()
        return {name: copied(fp32_values.get(name, value)) for name, value in values.items()}


def rate_shares(model: Any, decay: float) -> dict[str, float] | None:
    """Each parameter's share of the learning rate, by name; None where all have the whole.

    Source: Clark et al. 2020, "ELECTRA", appendix B, layer-wise learning rate decay. Raises: CheckpointError.
    """
    if decay == 1:
        return None
    return {name: decay**depth for name, depth in layers.depths(model).items()}


def within(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors under a prefix, without it."""
    return {name[len(prefix) + 1 :]: value for name, value in tensors.items() if name.startswith(f"{prefix}.")}


def _under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{prefix}.{name}": value for name, value in tensors.items()}
