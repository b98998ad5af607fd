"""A server that answers by one of its bundle's engines, and says which."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi")

import numpy as np

from ftkit.errors import DeployError
from ftkit.serving.server_process import ServerProcess
from ftkit.testing import toys
from ftkit.testing.bundles import BAD, GOOD, toy_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engines")
    with toys.install(folder / "plugins"):
        yield toy_bundle(folder / "bundle", engines={"half": True})


@pytest.mark.parametrize("engine", ["native", "half"])
def test_a_server_answers_by_its_engine_and_names_it(bundle, engine):
    texts = [GOOD, BAD, ""]
    with ServerProcess(bundle.folder, threads=1, engine=engine) as server:
        assert server.describe()["engine"] == engine
        answer = server.invoke({"data": [{"text": text} for text in texts], "scores": True})
    served = np.array([[row["scores"][name] for name in bundle.classes] for row in answer.value])
    np.testing.assert_array_equal(served, bundle.classifier_of(engine).probabilities(texts))
    other = bundle.classifier_of("half" if engine == "native" else "native")
    assert np.abs(served - other.probabilities(texts)).max() > 0


def test_a_server_whose_bundle_lacks_the_engine_does_not_start(bundle):
    with pytest.raises(DeployError, match="no engine 'onnx'"):
        ServerProcess(bundle.folder, threads=1, engine="onnx")
