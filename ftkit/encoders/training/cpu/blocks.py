"""The blocks of an encoder's layer as one operation each, on a CPU: the forward pass as it is, and the backward pass written out.

The results are those of the modules. What is saved: torch writes a linear layer's bias to every row of the output before the product, and reads it
again; gradients that meet are added up in passes of their own; and each small operation has its place in the graph, which costs more than
arithmetic where a step has few tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any

import torch
from torch import nn

from ftkit.encoders.training.cpu.attention import NAME, attention
from ftkit.encoders.training.cpu.dropout import DropoutMask, masks_of
from ftkit.encoders.training.cpu.linear import gradients_of, product, projections

TOLERANCE = 1e-4
"""How far a value may be from that of the module, in single precision: rounding moves it less."""


def replace(model: Any) -> None:
    """Have the blocks of BERT's and of DeBERTa's layers compute in this way, those whose outputs stay the same in a trial.

    The model must be in single precision, and without dropout layers of ftkit's own.
    """
    known_attention = model.config._attn_implementation == NAME
    for module in model.base_model.modules():
        output: Any = getattr(module, "output", None)
        intermediate: Any = getattr(module, "intermediate", None)
        if _has(output, dense=nn.Linear, LayerNorm=nn.LayerNorm, dropout=nn.Dropout):
            if _has(intermediate, dense=nn.Linear):
                _replace_feed_forward(intermediate, output)
            else:
                _replace(output, _residual, *(torch.randn(3, width) for width in output.dense.weight.shape[::-1]))
        is_replaced = "forward" in vars(module)  # such as the last layer's, see `ftkit.encoders.first_attention`
        if known_attention and not is_replaced and _has(module, query=nn.Linear, key=nn.Linear, value=nn.Linear):
            attention_layer: Any = module
            _replace(module, _self_attention, torch.randn(2, 5, attention_layer.query.in_features))


def _has(module: Any, **kinds: type) -> bool:
    children = dict(module.named_children()) if isinstance(module, nn.Module) else {}
    return all(type(children.get(name)) is kind for name, kind in kinds.items()) and all(
        child.bias is not None for name, child in children.items() if name in kinds and isinstance(child, nn.Linear)
    )


def _replace(module: nn.Module, forward: Callable[..., Any], *inputs: torch.Tensor) -> None:
    """Give a module another way to compute, if it returns the same for these inputs."""
    if _outputs_equal(module, lambda: module.forward(*inputs), lambda: forward(module, *inputs)):
        module.forward = MethodType(forward, module)


def _replace_feed_forward(intermediate: Any, output: Any) -> None:
    """Have the output compute both, and the intermediate block hand on what it gets."""

    def usual(states: torch.Tensor) -> torch.Tensor:
        outcome: torch.Tensor = output.forward(intermediate.forward(states), states)
        return outcome

    states = torch.randn(3, intermediate.dense.in_features)
    output.ftkit_up = (intermediate.dense,)  # not as a child, whose parameters would be counted twice
    if _outputs_equal(output, lambda: usual(states), lambda: _feed_forward(output, states, states)):
        intermediate.forward = MethodType(lambda _, states: states, intermediate)
        output.forward = MethodType(_feed_forward, output)
    else:
        del output.ftkit_up


def _outputs_equal(module: nn.Module, usual: Callable[[], Any], ours: Callable[[], Any]) -> bool:
    was_training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            expected, found = (each[0] if isinstance(each, tuple) else each for each in (usual(), ours()))
            return expected.shape == found.shape and torch.allclose(expected, found, rtol=TOLERANCE, atol=TOLERANCE)
    except Exception:  # a module of other inputs than expected stays as it is
        return False
    finally:
        module.train(was_training)


def _mask(module: Any, values: int, dtype: torch.dtype) -> DropoutMask | None:
    probability = module.dropout.p if module.training else 0.0
    masks = masks_of(module)
    if not probability:
        return None
    assert masks is not None, "dropout layers are replaced before training"
    return masks.mask(values, probability, dtype)


def _residual(self: Any, hidden_states: torch.Tensor, input_tensor: torch.Tensor) -> torch.Tensor:
    """The sum of its input and of a linear layer after dropout, normalised."""
    norm = self.LayerNorm
    mask = _mask(self, input_tensor.numel(), input_tensor.dtype)
    output: torch.Tensor = _Residual.apply(
        hidden_states.reshape(-1, hidden_states.shape[-1]), input_tensor.reshape(-1, input_tensor.shape[-1]),
        self.dense.weight, self.dense.bias, norm.weight, norm.bias, norm.eps, mask,
    )  # fmt: skip
    return output.view(input_tensor.shape)


def _feed_forward(self: Any, states: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    """The sum of its input and of two linear layers with GELU between them, after dropout, normalised."""
    norm, (up,) = self.LayerNorm, self.ftkit_up
    mask = _mask(self, states.numel(), states.dtype)
    output: torch.Tensor = _FeedForward.apply(
        states.reshape(-1, states.shape[-1]), up.weight, up.bias, self.dense.weight, self.dense.bias,
        norm.weight, norm.bias, norm.eps, mask,
    )  # fmt: skip
    return output.view(states.shape)


def _self_attention(
    self: Any,
    hidden_states: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    past_key_values: Any = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    if past_key_values is not None:
        usual: tuple[torch.Tensor, None] = type(self).forward(
            self, hidden_states, attention_mask=attention_mask, past_key_values=past_key_values, **options
        )
        return usual
    states = projections((self.query, self.key, self.value), hidden_states)
    query, key, value = (each.unflatten(-1, (self.num_attention_heads, -1)).transpose(1, 2) for each in states)
    probability = self.dropout.p if self.training else 0.0
    output, _ = attention(self, query, key, value, attention_mask, probability, self.scaling)
    return output.reshape(*hidden_states.shape[:-1], -1), None


class _Residual(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        hidden: torch.Tensor,
        states: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        gain: torch.Tensor,
        shift: torch.Tensor,
        epsilon: float,
        mask: DropoutMask | None,
    ) -> torch.Tensor:
        summed = _sum(product(hidden, weight, bias), mask, states)
        output, mean, scale = torch.native_layer_norm(summed, gain.shape, gain, shift, epsilon)
        context.save_for_backward(hidden, weight, summed, mean, scale, gain, shift)
        context.mask = mask
        return output

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden, weight, *normed = context.saved_tensors
        of_hidden, of_states, of_weight, of_bias, of_gain, of_shift, *_ = context.needs_input_grad
        summed, gain, shift = _of_norm(gradients[0], normed, of_gain, of_shift)
        gradient = _of_dropout(summed, context.mask)
        return (
            gradient @ weight if of_hidden else None,
            summed if of_states else None,
            *gradients_of(gradient, hidden, of_weight, of_bias),
            gain,
            shift,
            None,
            None,
        )


class _FeedForward(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        states: torch.Tensor,
        up: torch.Tensor,
        up_bias: torch.Tensor,
        down: torch.Tensor,
        down_bias: torch.Tensor,
        gain: torch.Tensor,
        shift: torch.Tensor,
        epsilon: float,
        mask: DropoutMask | None,
    ) -> torch.Tensor:
        before = product(states, up, up_bias)
        middle = nn.functional.gelu(before)
        summed = _sum(product(middle, down, down_bias), mask, states)
        output, mean, scale = torch.native_layer_norm(summed, gain.shape, gain, shift, epsilon)
        context.save_for_backward(states, up, before, middle, down, summed, mean, scale, gain, shift)
        context.mask = mask
        return output

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        states, up, before, middle, down, *normed = context.saved_tensors
        of_states, of_up, of_up_bias, of_down, of_down_bias, of_gain, of_shift, *_ = context.needs_input_grad
        summed, gain, shift = _of_norm(gradients[0], normed, of_gain, of_shift)
        gradient = _of_dropout(summed, context.mask)
        of_down_linear = gradients_of(gradient, middle, of_down, of_down_bias)
        gradient = gradient @ down
        torch.ops.aten.gelu_backward.grad_input(gradient, before, approximate="none", grad_input=gradient)
        return (
            summed.addmm_(gradient, up) if of_states else None,
            *gradients_of(gradient, states, of_up, of_up_bias),
            *of_down_linear,
            gain,
            shift,
            None,
            None,
        )


def _sum(values: torch.Tensor, mask: DropoutMask | None, states: torch.Tensor) -> torch.Tensor:
    """Values after dropout, and states, added up in the memory of the values."""
    if mask is None:
        return values.add_(states)
    mask.multiply_and_add(values, states, values)
    return values


def _of_dropout(gradient: torch.Tensor, mask: DropoutMask | None) -> torch.Tensor:
    if mask is None:
        return gradient
    result = torch.empty_like(gradient)
    mask.multiply(gradient, result)
    return result


def _of_norm(
    gradient: torch.Tensor, saved: Sequence[torch.Tensor], gain: bool, shift: bool
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
    summed, mean, scale, weight, bias = saved
    found: tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None] = torch.ops.aten.native_layer_norm_backward(
        gradient.contiguous(), summed, weight.shape, mean, scale, weight, bias, [True, gain, shift]
    )
    return found
