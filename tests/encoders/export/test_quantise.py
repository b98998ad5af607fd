"""Eight bits with a scale for each token: how near, for which rows, and what stays as it is."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from ftkit.encoders.export.quantise import WEIGHTS, channels, quantise


def product(weight, calls=1):
    """A model that multiplies rows by a weight, over and over."""
    names = [f"x{index}" for index in range(calls)] + ["y"]
    nodes = [helper.make_node("MatMul", [each, "weight"], [then]) for each, then in zip(names, names[1:], strict=False)]
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
def chance():
    return np.random.default_rng(5)


def test_products_are_those_of_the_rounded_numbers(chance):
    weight, rows = chance.normal(size=(48, 24)), chance.normal(size=(2, 7, 48))
    model = product(weight)
    quantise(model)
    top = np.abs(rows.astype(np.float32)).max(axis=2, keepdims=True)
    rounded, scale = channels(weight.astype(np.float32))
    by_hand = np.rint(rows.astype(np.float32) / top * 127) / 127 @ (rounded * scale) * top
    np.testing.assert_allclose(run(model, rows), by_hand, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(run(model, rows), rows @ weight, atol=0.03 * np.abs(rows @ weight).max())


def test_a_token_a_thousand_times_larger_changes_nothing_for_its_neighbours(chance):
    weight, rows = chance.normal(size=(32, 16)), chance.normal(size=(1, 4, 32))
    model = product(weight)
    quantise(model)
    beside = rows.copy()
    beside[0, 2] *= 1000
    kept = [0, 1, 3]
    np.testing.assert_array_equal(run(model, beside)[0, kept], run(model, rows)[0, kept])


def test_rows_and_columns_of_zeros_stay_zeros(chance):
    weight, rows = chance.normal(size=(32, 16)), chance.normal(size=(1, 3, 32))
    weight[:, 5] = 0
    rows[0, 1] = 0
    model = product(weight)
    quantise(model)
    found = run(model, rows)
    assert np.isfinite(found).all()
    assert not found[0, 1].any()
    assert not found[..., 5].any()


def test_a_weight_that_is_used_twice_is_kept_once(chance):
    weight = chance.normal(size=(16, 16)) / 4
    model = product(weight, calls=2)
    quantise(model)
    stored = {each.name for each in model.graph.initializer}
    assert "weight" not in stored
    rows = chance.normal(size=(1, 3, 16))
    np.testing.assert_allclose(run(model, rows), rows @ weight @ weight, atol=0.1)


def test_products_of_pairs_fit_16_bits_so_that_no_processor_answers_otherwise(chance):
    rounded, _ = channels(chance.normal(size=(64, 8)) * 100)
    assert np.abs(rounded).max() == WEIGHTS
    assert 2 * 255 * WEIGHTS < 2**15


def test_a_product_of_two_activations_stays_as_it_is():
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
