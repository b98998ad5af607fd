"""Fixtures of the tests of tables: known rows, and real sentences where they are available."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

Pairs = list[tuple[str, str]]


@pytest.fixture
def pairs() -> Pairs:
    """Sixty different texts with quotes, delimiters and line ends in them, in two classes."""
    return [(f'No. {index}, "so" to\tsay\nand on', ("bad", "good")[index % 2]) for index in range(60)]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, which is kept outside the repository."""
    root = Path(__file__).parents[3]
    folder = Path(os.environ.get("FTKIT_SHARED", root.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip("no real data here: FTKIT_SHARED names the folder that holds it")
    return folder
