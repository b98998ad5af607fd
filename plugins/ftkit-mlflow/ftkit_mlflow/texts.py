"""The texts in whatever MLflow hands to a model: a list, a Series, a table, a dict of lists, an array.

A missing text is refused as at ftkit's own endpoint, in the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlflow.exceptions import MlflowException

from ftkit import pairs
from ftkit.serving.schema import Refusal, checked

COLUMN = "text"


def read(model_input: Any, fields: tuple[str, ...] = pairs.TEXT) -> list[str]:
    """One text for each row, in order; where `fields` are two, rows are pairs with these names.

    Raises: MlflowException naming the first row without one, or what was sent instead.
    """
    if len(fields) > 1:
        return _pairs(model_input, fields)
    values = [_missing_as_none(each) for each in _values(model_input)]
    rows = [value if isinstance(value, Mapping) else {COLUMN: value} for value in values]
    try:
        return [row.text for row in checked({"data": rows}).data]
    except Refusal as refusal:
        raise MlflowException.invalid_parameter_value(f"{refusal.what}. {EXAMPLES}") from refusal


def _pairs(model_input: Any, fields: tuple[str, ...]) -> list[str]:
    """The pairs of a table, of a dict of lists, or of a list of dicts. Raises: MlflowException."""
    import pandas as pd

    match model_input:
        case pd.DataFrame():
            rows = model_input.to_dict("records")
        case Mapping():
            rows = pd.DataFrame(_lists(model_input)).to_dict("records")
        case list() | tuple():
            rows = list(model_input)
        case _:
            rows = [model_input]
    if len(rows) == 1 and isinstance(rows[0], Mapping) and all(isinstance(rows[0].get(name), list) for name in fields):
        return _pairs(dict(rows[0]), fields)  # what MLflow makes of a dict of lists
    whole = [
        {name: _missing_as_none(each) for name, each in row.items()} if isinstance(row, Mapping) else row
        for row in rows
    ]
    try:
        return [row.text for row in checked({"data": whole}, fields).data]
    except Refusal as refusal:
        hint = f"Send pairs: a table with the columns {' and '.join(fields)}, or a list of objects with these keys."
        raise MlflowException.invalid_parameter_value(f"{refusal.what}. {hint}") from refusal


def _lists(columns: Mapping[Any, Any]) -> dict[Any, Any]:
    """Columns as lists. Raises: MlflowException unless they have one length."""
    lists = {name: [each] if isinstance(each, str) else list(each or ()) for name, each in columns.items()}
    if len({*map(len, lists.values())}) > 1:
        raise MlflowException.invalid_parameter_value("the columns have different lengths")
    return lists


EXAMPLES = 'Send texts: ["…"], {"text": ["…"]}, or a table with a column text.'


def _values(model_input: Any) -> list[Any]:
    """The cells of one column. Raises: MlflowException."""
    import numpy as np
    import pandas as pd

    match model_input:
        case str():
            return [model_input]
        case pd.DataFrame() | Mapping():
            values = model_input[_column(list(model_input))]
            if isinstance(model_input, pd.DataFrame) and len(values) == 1 and isinstance(values.iloc[0], list):
                return list(
                    values.iloc[0]
                )  # what MLflow makes of a dict of lists for a model with a signature of its input
            return _values(values)
        case pd.Series():
            return list(model_input)
        case np.ndarray() if model_input.size == max(model_input.shape, default=1):
            return list(model_input.reshape(-1).tolist())
        case np.ndarray():
            raise MlflowException.invalid_parameter_value(
                f"an array of shape {model_input.shape} has more than one column. {EXAMPLES}"
            )
        case list() | tuple():
            return list(model_input)
        case _:
            raise MlflowException.invalid_parameter_value(
                f"a {type(model_input).__name__} holds no texts that can be read. {EXAMPLES}"
            )


def _column(names: list[Any]) -> Any:
    """The column of the texts: the one that is called so, or the only one."""
    if COLUMN in names:
        return COLUMN
    if len(names) == 1:
        return names[0]
    shown = ", ".join(map(str, names[:8])) + (f" and {len(names) - 8:,} more" if len(names) > 8 else "")
    raise MlflowException.invalid_parameter_value(
        f"there is no column {COLUMN!r}: the columns are {shown or 'none'}. Name one of them {COLUMN}, or send only that one."
    )


def _missing_as_none(value: Any) -> Any:
    """None in place of what pandas and NumPy write for a missing value."""
    import pandas as pd

    return None if value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value) else value
