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
def test_a_server_answers_by_the_engine_it_was_told_and_says_so(bundle, engine):
    texts = [GOOD, BAD, ""]
    with ServerProcess(bundle.folder, threads=1, engine=engine) as served:
        assert served.describe()["engine"] == engine
        answer = served.invoke({"data": [{"text": text} for text in texts], "scores": True})
    found = np.array([[row["scores"][name] for name in bundle.classes] for row in answer.value])
    np.testing.assert_array_equal(found, bundle.classifier_of(engine).probabilities(texts))
    other = bundle.classifier_of("half" if engine == "native" else "native")
    assert np.abs(found - other.probabilities(texts)).max() > 0


def test_a_server_without_the_engine_says_what_there_is(bundle):
    with pytest.raises(DeployError, match="no engine 'onnx'"):
        ServerProcess(bundle.folder, threads=1, engine="onnx")
