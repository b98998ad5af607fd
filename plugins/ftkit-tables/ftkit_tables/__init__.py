"""csv, tsv, JSON, parquet, Arrow and fastText files as ftkit data sets."""

from __future__ import annotations

from collections.abc import Sequence

from ftkit import hookimpl
from ftkit.contracts import Dataset
from ftkit_tables.table import Table


@hookimpl
def datasets() -> Sequence[type[Dataset]]:
    return [Table]
