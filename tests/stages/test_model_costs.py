"""What models cost: files, numbers in weights, and the time of an answer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ftkit_local.deployer import LocalDeployer
from safetensors.numpy import save_file

from ftkit.stages import model_costs
from ftkit.testing.toys import ToyWords


def test_size_and_parameters_are_those_of_the_files(tmp_path: Path) -> None:
    assert model_costs.parameters(tmp_path) is None
    save_file({"a": np.zeros((3, 4), np.float32), "b": np.zeros(5, np.float16)}, tmp_path / "model.safetensors")
    (tmp_path / "linear").mkdir()
    np.savez(tmp_path / "linear" / "weights.npz", weights=np.zeros((2, 7)), classes=np.arange(9))
    np.save(tmp_path / "weights.npy", np.zeros(6), allow_pickle=False)
    assert model_costs.parameters(tmp_path) == 12 + 5 + 14 + 6
    assert model_costs.size(tmp_path) == sum(path.stat().st_size for path in tmp_path.rglob("*.*"))


@pytest.mark.parametrize("count", [1, 3, 5, 1000])
def test_the_sample_has_texts_of_all_lengths(count: int) -> None:
    texts = ["x" * (length + 1) for length in range(count)]
    sample = model_costs.sample(texts)
    assert len(set(sample)) == min(5, count)
    assert set(sample) <= set(texts)
    if count == 1000:
        assert [len(text) for text in sample] == [101, 301, 501, 701, 901]


class Slow:
    """Answers after a while, and for its first texts after a long while."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.answered = seconds, 0

    def probabilities(self, texts: list[str]) -> np.ndarray:
        self.answered += 1
        time.sleep(self.seconds if self.answered > 2 else 5 * self.seconds)
        return np.full((len(texts), 2), 0.5)


def test_latency_is_that_of_the_fastest_engine_once_it_is_warm() -> None:
    slow, native, engine = Slow(0.03), Slow(0.012), Slow(0.004)
    latencies = model_costs.latencies({0: [lambda: slow], 1: [lambda: native, lambda: engine]}, ["a", "b"])  # type: ignore[list-item, return-value]  # no whole classifiers
    assert 30 <= latencies[0] < 150
    assert 4 <= latencies[1] < 12


@pytest.mark.parametrize(("deployed", "loads"), [(None, 1), ("native", 1), ("half", 1), ("auto", 2)])
def test_a_model_is_measured_as_the_recipe_serves_it(tmp_path: Path, deployed: str | None, loads: int) -> None:
    model = tmp_path / "model"
    model.mkdir()
    np.save(model / "weights.npy", np.full((256, 2), 1 / 3), allow_pickle=False)
    (model / "classes.json").write_text('["a", "b"]')
    deploy = LocalDeployer(endpoint="toys", engine=deployed) if deployed else None
    backbone: Any = ToyWords(engines=("half",))
    with model_costs.servable(deploy, {0: (backbone, model)}, tmp_path) as servable:
        classifiers = [load() for load in servable[0]]
        assert len(classifiers) == loads
        dtypes = {vars(each)["weights"].dtype.name for each in classifiers}
        assert ("float16" in dtypes or any((vars(each)["weights"] != 1 / 3).any() for each in classifiers)) is (
            deployed in ("half", "auto")
        )
    assert list(tmp_path.iterdir()) == [model], "the copies are gone"
    assert sorted(path.name for path in model.iterdir()) == ["classes.json", "weights.npy"]
