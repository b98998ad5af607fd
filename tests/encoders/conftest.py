"""A checkpoint with random weights that trains in a second."""

from __future__ import annotations

import pytest

from ftkit.testing.backbones import tiny_bert


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    return tiny_bert(tmp_path_factory.mktemp("tiny") / "checkpoint")


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    import torch

    # The models are tiny, and tests may run side by side: waiting for each other's threads would be all they do.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
