"""The texts in whatever MLflow hands to a model: a list, a Series, a table, a dict of lists, an array.

A missing text is refused as at ftkit's own endpoint, in the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlflow.exceptions import MlflowException

from ftkit.serving.schema import Refusal, checked

COLUMN = "text"


def read(model_input: Any) -> list[str]:
    """One text for each row, in order. Raises: MlflowException naming the first row without one, or what was sent instead."""
    values = [_missing_as_none(each) for each in _values(model_input)]
    rows = [value if isinstance(value, Mapping) else {COLUMN: value} for value in values]
    try:
        return [row.text for row in checked({"data": rows}).data]
    except Refusal as refusal:
        raise MlflowException.invalid_parameter_value(f"{refusal.what}. {EXAMPLES}") from refusal


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
