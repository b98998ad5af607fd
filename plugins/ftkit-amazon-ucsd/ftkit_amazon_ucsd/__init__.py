"""Amazon product reviews of the UCSD archive as ftkit data sets."""

from __future__ import annotations

from collections.abc import Sequence

from ftkit import hookimpl
from ftkit.contracts import Dataset
from ftkit_amazon_ucsd.dataset import AmazonUcsd


@hookimpl
def datasets() -> Sequence[type[Dataset]]:
    return [AmazonUcsd]
