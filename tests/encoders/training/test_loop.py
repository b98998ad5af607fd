"""The training loop: what a batch is, which weights are returned, and what ends the training."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ftkit.contracts import Split
from ftkit.encoders import Encoder
from ftkit.encoders.training import precision
from ftkit.encoders.training.loop import micro_batches
from ftkit.errors import StageError
from ftkit.testing.backbones import separable, separable_data


@dataclass(frozen=True, kw_only=True)
class Tiny(Encoder):
    """The tiny checkpoint."""

    name = "tiny"
    learning_rate: float = 3e-3
    batch_size: int = 8
    epochs: int = 2
    precision: precision.Precision = "fp32"
    dropout: float | None = 0.0


@pytest.fixture
def encoder(tiny):
    return Tiny(checkpoint=str(tiny))


def always(*_, **__):
    return True


def weights(encoder, tmp_path, data=None, report=always):
    encoder.fit(data or separable_data(rows=45), 1, report).save(tmp_path)
    return load_file(tmp_path / "model.safetensors")


def same(one, other, tolerance):
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_allclose(value, other[name], atol=tolerance, err_msg=name)


def test_micro_batches_give_the_weights_of_the_whole_batch(encoder, tmp_path):
    whole = weights(encoder, tmp_path / "whole")
    divided = weights(replace(encoder, accumulation=3), tmp_path / "divided")
    same(whole, divided, 2e-3)


def test_micro_batches_give_the_weights_of_the_whole_batch_with_class_weights(encoder, tmp_path):
    rows = separable(60, 5)
    indices = [index for index in range(60) if rows.labels[index] != 2 or index % 4 == 0]
    train = Split(tuple(rows.texts[index] for index in indices), tuple(rows.labels[index] for index in indices))
    data = replace(separable_data(), train=train)
    balanced = replace(encoder, class_weights="balanced")
    whole = weights(balanced, tmp_path / "whole", data)
    divided = weights(replace(balanced, accumulation=2), tmp_path / "divided", data)
    equal = weights(encoder, tmp_path / "equal", data)
    same(whole, divided, 2e-3)
    assert not np.allclose(whole["classifier.weight"], equal["classifier.weight"], atol=1e-3)


@pytest.mark.parametrize("further", [{}, {"tuning": "lora", "gradient_checkpointing": True, "layer_decay": 0.9}])
def test_two_processes_train_as_one(encoder, tmp_path, tiny, further):
    encoder = replace(encoder, **further)
    alone = weights(encoder, tmp_path / "alone", separable_data(rows=41))  # one row is left for the last batch
    code = f"""
import os, sys, torch
torch.set_num_threads(1)
from dataclasses import dataclass
from pathlib import Path
from safetensors.torch import save_file
from ftkit.contracts import EndTraining, StopTrial
from ftkit.encoders import Encoder
from ftkit.encoders.training.cpu.embedding_adamw import EmbeddingAdamW
from ftkit.testing.backbones import separable_data

def of_some_rows(self, touched, gradient, exchanged=EmbeddingAdamW._exchanged):
    rows, mean = exchanged(self, touched, gradient)
    assert len(touched) < len(self.weight) / 2
    assert len(touched) <= len(rows) == len(mean)
    return rows, mean

EmbeddingAdamW._exchanged = of_some_rows

@dataclass(frozen=True, kw_only=True)
class Tiny(Encoder):
    name = "tiny"

encoder = Tiny(checkpoint={str(tiny)!r}, learning_rate=3e-3, batch_size=8, epochs=2, precision="fp32", dropout=0.0, **{further!r})
rank = sys.argv[1]
calls = []
classifier = encoder.fit(separable_data(rows=41), 1, lambda epoch, probabilities, **numbers: calls.append(probabilities.shape) or True)
save_file(classifier.model.state_dict(), Path({str(tmp_path)!r}) / f"{{rank}}.safetensors")

def stop(*arguments, **numbers):
    raise StopTrial("enough")

try:
    encoder.fit(separable_data(rows=45), 1, stop)
except StopTrial as stopped:
    calls.append(str(stopped))

def end(*arguments, **numbers):
    raise EndTraining(best=True)

calls.append(type(encoder.fit(separable_data(rows=45), 1, end)).__name__)
print(calls, flush=True)
torch.distributed.barrier()
torch.distributed.destroy_process_group()
os._exit(0)  # gloo's threads abort some processes when the interpreter ends
"""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    shared = os.environ | {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo",
    }  # fmt: skip
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(rank)],
            env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert [out.strip() for out, _ in outputs] == [
        "[(24, 3), (24, 3), 'enough', 'EncoderClassifier']",
        "['enough', 'EncoderClassifier']",
    ]
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in range(2))
    same(first, second, 0)
    same(alone, first, 2e-3)


def test_training_stops_after_so_many_epochs_without_a_better_evaluation(encoder):
    calls = []

    def report(epoch, probabilities, **numbers):
        calls.append(epoch)
        return epoch <= 2

    replace(encoder, epochs=9, early_stopping=2).fit(separable_data(rows=24), 1, report)
    assert calls == [1, 2, 3, 4]


def test_evaluations_are_as_often_as_the_recipe_asks_for_and_numbered_from_one(encoder):
    reports = []

    def report(epoch, probabilities, **numbers):
        reports.append((epoch, numbers["epochs"]))
        return True

    replace(encoder, evaluate_every=0.5).fit(separable_data(rows=32), 1, report)  # 4 steps an epoch
    assert reports == [(1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0)]
    reports.clear()
    replace(encoder, evaluate_every=3).fit(separable_data(rows=32), 1, report)
    assert reports == [(1, 0.75), (2, 1.5), (3, 2.0)]


def test_evaluations_in_between_change_no_weights(encoder, tmp_path):
    often = weights(replace(encoder, evaluate_every=0.25), tmp_path / "often")
    same(weights(encoder, tmp_path / "once"), often, 2e-3)


def test_a_training_whose_time_is_over_evaluates_once_more_and_ends_with_its_best_model(encoder):
    reports = []

    def report(epoch, probabilities, **numbers):
        reports.append((epoch, numbers["epochs"]))
        return True

    classifier = replace(encoder, epochs=50, max_minutes=1e-9).fit(separable_data(rows=32), 1, report)
    assert reports == [(1, 0.25)]
    assert classifier.probabilities(["a text"]).shape == (1, 3)


def test_random_numbers_of_the_caller_do_not_change(encoder):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    replace(encoder, epochs=1).fit(separable_data(rows=12), 1, always)
    assert torch.equal(torch.rand(3), expected)


def test_bf16_learns_as_fp32_does(encoder):
    data, answers = separable_data(), {}
    for number_format in ("fp32", "bf16"):
        classifier = replace(encoder, precision=number_format, epochs=4).fit(data, 1, always)
        assert {value.dtype for value in classifier.model.state_dict().values()} <= {torch.float32, torch.int64}
        answers[number_format] = classifier.probabilities(data.valid.texts)
    for probabilities in answers.values():
        assert (probabilities.argmax(axis=1) == np.asarray(data.valid.labels)).mean() >= 0.9
    assert np.abs(answers["fp32"] - answers["bf16"]).mean() < 0.05


def test_a_loss_that_is_not_a_number_is_an_error_with_a_hint(encoder):
    with pytest.raises(StageError, match="no longer a number") as caught:
        replace(encoder, learning_rate=1e38, max_grad_norm=0.0, warmup=0.0).fit(separable_data(rows=24), 1, always)
    assert "learning_rate" in caught.value.hint


def test_a_full_gpu_is_an_error_with_a_hint(encoder):
    def report(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(StageError, match="memory does not hold") as caught:
        encoder.fit(separable_data(rows=12), 1, report)
    assert "accumulation = 2" in caught.value.hint


def test_fp16_without_a_gpu_is_refused(encoder):
    with pytest.raises(StageError, match="fp16"):
        replace(encoder, precision="fp16").fit(separable_data(rows=12), 1, always)


def test_trials_of_every_length_share_the_cached_tokens(encoder, tmp_path):
    data = separable_data(rows=12, cache=tmp_path)
    for length in (8, 64):
        replace(encoder, epochs=1, max_length=length).fit(data, 1, always)
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2  # train and valid


def test_biases_and_normalisation_have_no_weight_decay(tiny):
    from ftkit.encoders import checkpoint

    model = checkpoint.read(tiny).model(("a", "b"))
    decayed, undecayed = precision.parameter_groups(model, 0.1)
    assert {each.ndim for each in decayed["params"]} == {2}
    assert {each.ndim for each in undecayed["params"]} == {1}
    assert (decayed["weight_decay"], undecayed["weight_decay"]) == (0.1, 0.0)


@pytest.mark.parametrize(("rows", "count", "ranks"), [(8, 1, 1), (8, 3, 1), (3, 8, 1), (7, 2, 2), (1, 2, 4)])
def test_micro_batches_of_all_processes_are_the_batch(rows, count, ranks):
    batch, seen = np.arange(rows), []
    for rank in range(ranks):
        divided = list(micro_batches(batch, count, ranks, rank))
        assert [last for _, last in divided] == [False] * (len(divided) - 1) + [True]
        seen += [row for micro_batch, _ in divided for row in micro_batch]
    assert sorted(seen) == list(range(rows))
