"""Products in 8 bits with a scale for each token: how exact they are, and which products stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from ftkit.encoders.export.quantise import WEIGHTS, quantise, quantise_channels


def product(weight, calls=1):
    """A model that multiplies rows by a weight, `calls` times."""
    names = [f"x{index}" for index in range(calls)] + ["y"]
    nodes = [
        helper.make_node("MatMul", [input_name, "weight"], [output_name])
        for input_name, output_name in zip(names, names[1:], strict=False)
    ]
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "product",
        [tensor("x0", TensorProto.FLOAT, ["rows", "tokens", weight.shape[0]])],
        [tensor("y", TensorProto.FLOAT, ["rows", "tokens", weight.shape[1]])],
        [numpy_helper.from_array(weight.astype(np.float32), "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def run(model, rows):
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x0": rows.astype(np.float32)})[0]


@pytest.fixture
def random():
    return np.random.default_rng(5)


def test_products_are_those_of_the_rounded_numbers(random):
    weight, rows = random.normal(size=(48, 24)), random.normal(size=(2, 7, 48))
    model = product(weight)
    quantise(model)
    largest = np.abs(rows.astype(np.float32)).max(axis=2, keepdims=True)
    rounded, scale = quantise_channels(weight.astype(np.float32))
    expected = np.rint(rows.astype(np.float32) / largest * 127) / 127 @ (rounded * scale) * largest
    np.testing.assert_allclose(run(model, rows), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(run(model, rows), rows @ weight, atol=0.03 * np.abs(rows @ weight).max())


def test_a_token_a_thousand_times_larger_changes_nothing_for_its_neighbours(random):
    weight, rows = random.normal(size=(32, 16)), random.normal(size=(1, 4, 32))
    model = product(weight)
    quantise(model)
    with_outlier = rows.copy()
    with_outlier[0, 2] *= 1000
    others = [0, 1, 3]
    np.testing.assert_array_equal(run(model, with_outlier)[0, others], run(model, rows)[0, others])


def test_rows_and_columns_of_zeros_stay_zeros(random):
    weight, rows = random.normal(size=(32, 16)), random.normal(size=(1, 3, 32))
    weight[:, 5] = 0
    rows[0, 1] = 0
    model = product(weight)
    quantise(model)
    result = run(model, rows)
    assert np.isfinite(result).all()
    assert not result[0, 1].any()
    assert not result[..., 5].any()


def test_a_weight_that_is_used_twice_is_stored_once(random):
    weight = random.normal(size=(16, 16)) / 4
    model = product(weight, calls=2)
    quantise(model)
    stored = {tensor.name for tensor in model.graph.initializer}
    assert "weight" not in stored
    rows = random.normal(size=(1, 3, 16))
    np.testing.assert_allclose(run(model, rows), rows @ weight @ weight, atol=0.1)


def test_sums_of_two_products_fit_into_16_bits_on_every_processor(random):
    rounded, _ = quantise_channels(random.normal(size=(64, 8)) * 100)
    assert np.abs(rounded).max() == WEIGHTS
    assert 2 * 255 * WEIGHTS < 2**15


def test_a_product_of_two_activations_is_not_converted():
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "x"], ["y"])],
        "square",
        [tensor("x", TensorProto.FLOAT, [3, 3])],
        [tensor("y", TensorProto.FLOAT, [3, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    quantise(model)
    assert [node.op_type for node in model.graph.node] == ["MatMul"]
