"""An exported encoder with its matrix products in 8-bit integers, a scale for each token and each output channel.

The common way, one scale for all activations of a call, makes an answer depend on the texts that are computed with it:
on news articles by up to 0.12 in a probability, which can change the label. A scale for each token is as fast, nearer
to single precision, and independent of the other tokens.

Source: Yao et al. 2022, "ZeroQuant: Efficient and Affordable Post-Training Quantization for Large-Scale Transformers",
section 4.1, token-wise activations and symmetric weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

ACTIVATIONS = 127
"""Largest magnitude of an activation, around the zero point 128 of unsigned bytes."""
WEIGHTS = 63
"""Largest magnitude of a weight: processors without VNNI add two products in 16 bits, which must not overflow.

Then an answer does not depend on the processor. Source: ONNX Runtime documentation, "Quantize ONNX models", on
`reduce_range`.
"""
TINY = 1e-12
"""Keeps the scale of a row of zeros above zero."""

_UNIT, _ZERO, _TINY, _LAST = "int8_unit", "int8_zero", "int8_tiny", "int8_last_axis"


def quantise(model: Any) -> None:
    """Convert the products of activations with fixed weights of an ONNX model to 8 bits, in place.

    A product of single rows, such as the classification head's, stays as it is: it costs little, and it decides the
    answer.
    """
    import numpy as np
    from onnx import helper, numpy_helper

    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer if len(tensor.dims) == 2}
    nodes: list[Any] = []
    constants: dict[str, np.ndarray] = {}
    quantised: set[str] = set()
    for node in graph.node:
        if node.op_type != "MatMul" or node.input[1] not in weights:
            nodes.append(node)
            continue
        rows, weight = node.input
        if rows not in quantised:
            nodes += _quantised_tokens(rows)
            quantised.add(rows)
        if f"{weight}_int8" not in constants:
            weight_array = numpy_helper.to_array(weights[weight])
            constants[f"{weight}_int8"], constants[f"{weight}_scale"] = quantise_channels(weight_array)
        name = node.output[0]
        nodes += [
            helper.make_node(
                "MatMulIntegerToFloat",
                [f"{rows}_int8", f"{weight}_int8", _UNIT, f"{weight}_scale", _ZERO],
                [f"{name}_unit"],
                domain="com.microsoft",
            ),
            helper.make_node("Mul", [f"{name}_unit", f"{rows}_scale"], [name]),
        ]
    constants |= {
        _UNIT: np.array(1 / ACTIVATIONS, np.float32),
        _ZERO: np.array(128, np.uint8),
        _TINY: np.array(TINY, np.float32),
        _LAST: np.array([-1], np.int64),
    }
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    unchanged = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend([*unchanged, *(numpy_helper.from_array(value, name) for name, value in constants.items())])
    if not any(opset.domain == "com.microsoft" for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def quantise_channels(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights as 8-bit integers, (inputs, outputs), and the scale of each output channel, (outputs,)."""
    import numpy as np

    scale = np.maximum(np.abs(weight).max(axis=0), TINY) / WEIGHTS
    return np.rint(weight / scale).astype(np.int8), scale.astype(np.float32)


def _quantised_tokens(name: str) -> list[Any]:
    """Nodes that divide activations, (…, tokens, channels), by the largest of each token and convert them to 8 bits."""
    from onnx import helper

    return [
        helper.make_node("Abs", [name], [f"{name}_absolute"]),
        helper.make_node("ReduceMax", [f"{name}_absolute", _LAST], [f"{name}_largest"], keepdims=1),
        helper.make_node("Max", [f"{name}_largest", _TINY], [f"{name}_scale"]),
        helper.make_node("Div", [name, f"{name}_scale"], [f"{name}_share"]),
        helper.make_node("QuantizeLinear", [f"{name}_share", _UNIT, _ZERO], [f"{name}_int8"]),
    ]
