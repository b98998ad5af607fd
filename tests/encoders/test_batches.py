"""Batches: every row once, similar lengths together, few shapes."""

from __future__ import annotations

import numpy as np
import pytest

from ftkit.encoders.batches import ROUND, pad, training_batches


@pytest.mark.parametrize(("rows", "size"), [(1, 8), (8, 8), (1001, 8), (1000, 1)])
def test_every_row_is_in_one_batch(rows, size):
    lengths = np.random.default_rng(0).integers(3, 512, rows)
    batches = training_batches(lengths, size, np.random.default_rng(1))
    assert sorted(np.concatenate(batches)) == list(range(rows))
    assert len(batches) == -(-rows // size)


def test_epochs_differ_and_the_same_seed_repeats_them():
    lengths = np.random.default_rng(0).integers(3, 512, 400)
    random = np.random.default_rng(1)
    first, second = (np.concatenate(training_batches(lengths, 8, random)) for _ in range(2))
    again = np.concatenate(training_batches(lengths, 8, np.random.default_rng(1)))
    assert first.tolist() == again.tolist() != second.tolist()


def test_less_than_a_tenth_of_the_batches_is_padding():
    lengths = np.random.default_rng(0).lognormal(4.3, 0.8, 4000).astype(int).clip(5, 512)
    batches = training_batches(lengths, 8, np.random.default_rng(1))
    assert lengths.sum() / sum(len(batch) * lengths[batch].max() for batch in batches) > 0.9


def test_lengths_are_rounded_up_but_not_beyond_the_limit_of_the_model():
    ids, mask = pad([np.arange(1, 4), np.arange(1, ROUND + 2)], 0, ROUND + 3)
    assert ids.shape == (2, ROUND + 3)
    assert mask.sum(dim=1).tolist() == [3, ROUND + 1]
    assert ids[0].tolist() == [1, 2, 3, *[0] * ROUND]
    left, mask = pad([np.arange(1, 4)] * 2, 0, 512, "left")
    assert left[0].tolist() == [*[0] * (ROUND - 3), 1, 2, 3]
    assert mask.sum() == 6


def test_a_single_row_is_not_padded():
    ids, mask = pad([np.arange(1, 4)], 0, 512)
    assert ids.tolist() == [[1, 2, 3]]
    assert bool(mask.all())
