"""The number format that training computes in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ftkit.errors import StageError

if TYPE_CHECKING:
    import torch

    from ftkit.encoders.config import Precision


def choose(wanted: Precision, device: str) -> str:
    """The format to train in on a device: `fp32`, `bf16` or `fp16`. Raises: StageError when the device lacks it.

    `auto` takes bf16 only where the processor has units for it: elsewhere it is emulated and slower than fp32. It never
    takes fp16, whose range is too small for DeBERTa's attention.
    """
    import torch

    if device == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device == "cpu":
        capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        fast = bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    else:
        fast = False
    if wanted == "auto":
        return "bf16" if fast else "fp32"
    if wanted == "fp16" and device != "cuda":
        raise StageError(
            f"precision fp16 needs a CUDA device, and training runs on {device}",
            where="backbone.precision",
            hint="Set precision to auto.",
        )
    return wanted


def to_bfloat16(model: Any) -> None:
    """Convert the encoder to bf16; the head stays in fp32, so that rounding does not make scores equal.

    Autocast would keep fp32 weights and cast them in every step: 27 % of a step on a CPU.
    """
    import torch

    def upcast(_module: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            value.float() if torch.is_tensor(value) and value.is_floating_point() else value for value in inputs
        )

    model.base_model.to(torch.bfloat16)
    for name, child in model.named_children():
        if name != model.base_model_prefix:
            child.register_forward_pre_hook(upcast)


def parameter_groups(
    model: Any,
    weight_decay: float,
    excluded: torch.Tensor | None = None,
    shares: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """The parameters with weight decay, and those without: biases and normalisation weights; `excluded` is in neither.

    `shares` are the shares of the learning rate that parameters have, by name: there are two groups for each.
    Source: Devlin et al. 2019, released code, `optimization.py`.
    """
    by_share: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and parameter is not excluded:
            by_share.setdefault(shares[name] if shares else 1.0, []).append(parameter)
    return [
        {"params": [each for each in trained if (each.ndim > 1) == wide], "weight_decay": decay, "share": share}
        for share, trained in by_share.items()
        for wide, decay in ((True, weight_decay), (False, 0.0))
    ]
