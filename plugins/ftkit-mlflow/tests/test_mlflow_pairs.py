"""Pairs in whatever MLflow hands to a model: tables, dicts of lists, lists of dicts."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from ftkit_mlflow import texts
from mlflow.exceptions import MlflowException

from ftkit import pairs

FIELDS = ("premise", "hypothesis")
ROWS = [{"premise": "a", "hypothesis": "b"}, {"premise": "c", "hypothesis": "d"}]
COLUMNS = {"hypothesis": ["b", "d"], "premise": ["a", "c"]}


@pytest.mark.parametrize(
    "given",
    [ROWS, COLUMNS, pd.DataFrame(COLUMNS), pd.DataFrame(ROWS).assign(id=1), pd.DataFrame([COLUMNS]), tuple(ROWS)],
)
def test_pairs_are_read_by_their_names(given: Any) -> None:
    assert texts.read(given, FIELDS) == [pairs.join("a", "b"), pairs.join("c", "d")]


def test_one_pair_is_a_dict_of_texts() -> None:
    assert texts.read(ROWS[0], FIELDS) == [pairs.join("a", "b")]


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (pd.DataFrame({"premise": ["a"]}), r"data\[0\].hypothesis is missing"),
        (pd.DataFrame({"premise": ["a", None], "hypothesis": ["b", "c"]}), r"data\[1\].premise is null"),
        (["a"], "must be an object"),
        ("a", "must be an object"),
        ({"premise": ["a", "b"], "hypothesis": ["c"]}, "different lengths"),
    ],
)
def test_what_is_no_pair_is_refused(given: Any, what: str) -> None:
    with pytest.raises(MlflowException, match=what):
        texts.read(given, FIELDS)
