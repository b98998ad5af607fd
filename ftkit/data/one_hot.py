"""Columns of zeros and ones that together are one label, where exactly one of them is 1 in each row, or several labels."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

ZEROS, ONES = ("0", "0.0", "false", "False"), ("1", "1.0", "true", "True")


def one_hot_columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """All columns of zeros and ones, if exactly one of them is 1 in each row, and more than one of them somewhere; else none."""
    columns = indicator_columns(rows)
    ones = [[name for name in columns if str(row[name]).strip() in ONES] for row in rows]
    return columns if all(len(each) == 1 for each in ones) and len({*map(tuple, ones)}) > 1 else []


def indicator_columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """All columns of zeros and ones, if there are several; else none."""
    names = dict.fromkeys(name for row in rows for name in row if name)
    columns = [name for name in names if all(str(row.get(name)).strip() in (*ZEROS, *ONES) for row in rows)]
    return columns if len(columns) > 1 else []


def label_proposal(columns: Sequence[str]) -> str:
    """The recipe option that reads these columns as one label."""
    return f"label = {json.dumps([*columns], ensure_ascii=False)}"


def several_proposal(columns: Sequence[str]) -> str:
    """The recipe options that read these columns as several labels."""
    return f'task = "multi-label" and {label_proposal(columns)}'
