"""A pretrained encoder and a real data set that install with pip: ftkit's quickstart."""

from ftkit import hookimpl
from ftkit_quickstart.bbc_news import BbcNews
from ftkit_quickstart.minilm import MiniLM


@hookimpl
def datasets():
    return [BbcNews]


@hookimpl
def backbones():
    return [MiniLM]
