"""A pretrained encoder and a real data set that install with pip: ftkit's quickstart."""

from typing import Any

from ftkit import hookimpl
from ftkit_quickstart.bbc_news import BbcNews
from ftkit_quickstart.minilm import MiniLM


@hookimpl
def datasets() -> list[type[Any]]:
    """BBC News."""
    return [BbcNews]


@hookimpl
def backbones() -> list[type[Any]]:
    """all-MiniLM-L6-v2."""
    return [MiniLM]
