"""The dashboard in docs/ asks for metrics that an endpoint on this machine has, and for all of them."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from ftkit_local.endpoint.metrics import _Collected

ENDINGS = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "info": ("_info",),
    "gauge": ("",),
}


@pytest.fixture(scope="module")
def dashboard() -> Any:
    return json.loads((Path(__file__).parents[3] / "docs" / "grafana-dashboard.json").read_text(encoding="utf-8"))


def test_it_names_every_metric_and_none_that_does_not_exist(dashboard: Any) -> None:
    families = {family.name: ENDINGS[family.type] for family in _Collected("kit", []).collect()}
    exist = {f"{name}{ending}" for name, endings in families.items() for ending in endings}
    asked = set(re.findall(r"ftkit_\w+", json.dumps([each["targets"] for each in dashboard["panels"]])))
    variables = set(re.findall(r"ftkit_\w+", json.dumps(dashboard["templating"])))
    assert (asked | variables) - exist == set()
    unused = [name for name, endings in families.items() if not asked & {f"{name}{each}" for each in endings}]
    assert unused == []


def test_its_panels_are_whole_and_beside_each_other(dashboard: Any) -> None:
    panels = dashboard["panels"]
    assert len({each["id"] for each in panels}) == len(panels)
    for one, other in combinations([each["gridPos"] for each in panels], 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    for each in panels:
        assert each["datasource"]["uid"] == "${datasource}"
        for target in each["targets"]:
            assert all(target["expr"].count(left) == target["expr"].count(right) for left, right in ("()", "{}", "[]"))
