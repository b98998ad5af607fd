"""The types of a table's columns, for a form that has types: as the file has them, or as its values show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ftkit.scoring.values import as_text

if TYPE_CHECKING:
    from ftkit.contracts import FileRows

SIZE = 10_000
"""Rows whose types are looked at together."""


def column_types(rows: FileRows) -> Any:
    """A `pyarrow.Schema` of a file's columns; where it has none, its rows are read for it. Raises: DataError.

    A column has numbers where all its values are, and texts where they are of several kinds.
    """
    if rows.schema is not None:
        return rows.schema
    import pyarrow

    kinds: dict[str, Any] = dict.fromkeys(rows.names, pyarrow.null())
    for part in rows.parts(SIZE):
        for name, kind in kinds.items():
            if not pyarrow.types.is_string(kind):
                kinds[name] = _joint(kind, [row.get(name) for row in part.columns])
    return pyarrow.schema(
        [
            (name, kind if kind != pyarrow.null() and _writable(kind) else pyarrow.string())
            for name, kind in kinds.items()
        ]
    )


def typed(columns: Any, schema: Any) -> Any:
    """The columns of some rows, as `RowsPart` has them, as a `pyarrow.Table` with these types."""
    import pyarrow

    if isinstance(columns, pyarrow.Table):
        return columns
    arrays = []
    for field in schema:
        values = [row.get(field.name) for row in columns]
        as_texts = pyarrow.types.is_string(field.type)
        arrays.append(pyarrow.array(map(as_text, values) if as_texts else values, field.type))
    return pyarrow.Table.from_arrays(arrays, schema=schema)


def _joint(kind: Any, values: Sequence[Any]) -> Any:
    """The type of a column so far and of further values together: of texts where there is no other."""
    import pyarrow

    try:
        schemas = [pyarrow.schema([("", each)]) for each in (kind, pyarrow.array(values).type)]
        return pyarrow.unify_schemas(schemas, promote_options="permissive").field(0).type
    except (pyarrow.ArrowException, OverflowError, ValueError):
        return pyarrow.string()


def _writable(kind: Any) -> bool:
    """Whether parquet has a type: it has none for objects without keys."""
    import pyarrow.types

    if pyarrow.types.is_struct(kind):
        return kind.num_fields > 0 and all(_writable(field.type) for field in kind)
    return not pyarrow.types.is_list(kind) or _writable(kind.value_type)
