"""The report's charts, also of few or odd trials, and charts of plugins made harmless."""

from __future__ import annotations

import math
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from ftkit.evaluation import charts
from ftkit.report import row_charts, svg, trial_charts
from ftkit.report.answers import Measure, Row

from .conftest import make_trials


def texts(chart: str | None) -> list[str]:
    assert chart is not None
    root = ElementTree.fromstring(chart)
    return ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]


def test_the_chart_of_trials_has_an_axis_for_each_field_that_differs_and_names_the_selected_trial() -> None:
    shown = texts(trial_charts.parallel(make_trials(9), "macro_f1", 0))
    assert {"learning_rate", "decay", "kind", "macro F1", "trial 0, selected"} <= set(shown)
    same = [replace(each, values={**each.values, "kind": "a"}) for each in make_trials(9)]
    assert "kind" not in texts(trial_charts.parallel(same, "macro_f1", 0))


def test_values_of_mixed_types_and_metrics_that_are_not_numbers_can_be_drawn() -> None:
    odd = [None, True, "text", 3, (1, 2), 0.5, {"a": 1}]
    trials = [replace(each, values={"odd": odd[each.number]}) for each in make_trials(7)]
    trials[2] = replace(trials[2], metrics={"macro_f1": math.nan})
    assert trial_charts.parallel(trials, "macro_f1", 5) is not None


@pytest.mark.parametrize("count", [0, 1])
def test_a_single_trial_gives_no_chart(count: int) -> None:
    assert trial_charts.parallel(make_trials(count), "macro_f1", 0) is None


def test_learning_curves_show_how_trials_ended_and_single_evaluations_give_none() -> None:
    failed = replace(make_trials(2)[1], state="failed")
    shown = texts(trial_charts.curves([*make_trials(3)[::2], failed], "macro_f1", 0))
    assert {"trial 0, selected", "stopped early", "failed", "epoch"} <= set(shown)
    once = [replace(each, history=each.history[:1]) for each in make_trials(3)]
    assert trial_charts.curves(once, "macro_f1", 0) is None


def test_parts_without_a_value_are_left_out() -> None:
    rows = [Row("class a", "roc_auc", 5, Measure(0.5, 0.4, 0.6)), Row("class b", "roc_auc", 1, Measure(math.nan))]
    shown = texts(row_charts.forest(rows, "ROC AUC"))
    assert "class a (5)" in shown
    assert not [each for each in shown if "class b" in each]
    assert row_charts.forest(rows[1:], "ROC AUC") is None


def test_bars_show_their_time_and_only_the_longest_of_many_are_drawn() -> None:
    seconds = {f"trial {number}": float(number) for number in range(1, 60)}
    shown = texts(trial_charts.bars(seconds, "Time"))
    assert {"trial 59", "trial 20", "59 s"} <= set(shown)
    assert "trial 19" not in shown
    assert trial_charts.bars({}, "Time") is None


def test_the_interval_of_a_share_is_the_one_of_wilson() -> None:
    from scipy.stats import binomtest

    shares, rows = np.array([0.0, 0.5, 0.9, 1.0]), np.array([8, 10, 20, 7])
    low, high = row_charts.wilson(shares, rows)
    for place, (share, count) in enumerate(zip(shares, rows, strict=True)):
        expected = binomtest(round(share * count), int(count)).proportion_ci(method="wilson")
        assert (low[place], high[place]) == (
            pytest.approx(expected.low, abs=1e-4),
            pytest.approx(expected.high, abs=1e-4),
        )


HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def test_a_chart_keeps_its_shapes_and_its_own_references_get_its_name() -> None:
    inlined = svg.inlined(
        f'{HEAD} width="9pt" viewBox="0 0 9 9"><defs><path id="p" d="M 0 0"/></defs><use xlink:href="#p"/>'
        '<text>a &lt; b<tspan>c</tspan>d</text><rect clip-path="url(#p)"/></svg>',
        "one",
    )
    assert 'viewBox="0 0 9 9"' in inlined
    assert "width" not in inlined
    assert '<path id="one-p"' in inlined
    assert '<use href="#one-p">' in inlined
    assert "a &lt; b<tspan>c</tspan>d</text>" in inlined
    assert 'clip-path="url(#one-p)"' in inlined


@pytest.mark.parametrize(
    "harm",
    [
        "<script>alert(1)</script>",
        "<foreignObject><body xmlns='http://www.w3.org/1999/xhtml' onload='alert(1)'/></foreignObject>",
        "<image href='https://example.org/x.png'/>",
        "<use href='https://example.org/x.svg#a'/>",
        "<a href='javascript:alert(1)'><text>x</text></a>",
        "<g onclick='alert(1)'/>",
        "<g style='fill: url(https://example.org/x)'/>",
        "<g style='fill: url( \"//example.org/x\" )'/>",
        "<style>body { display: none }</style>",
        "<animate attributeName='href' values='javascript:alert(1)'/>",
    ],
)
def test_what_runs_loads_or_restyles_is_removed_from_a_chart(harm: str) -> None:
    inlined = svg.inlined(f"{HEAD}>{harm}</svg>", "one")
    assert not [each for each in ("alert", "example.org", "javascript", "display", "onclick") if each in inlined]


@pytest.mark.parametrize(
    ("chart", "reason"),
    [
        ("<svg><g></svg>", "is not an SVG"),
        ("<html/>", "is not an SVG"),
        ('<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>', "entities"),
        ("<svg>" + " " * 500_000 + "</svg>", "500,011 characters"),
    ],
)
def test_a_chart_that_cannot_be_shown_is_refused_with_the_reason(chart: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        svg.inlined(chart, "one")


def test_a_narrow_chart_is_shown_narrow_so_that_all_charts_have_letters_of_one_size() -> None:
    wide = charts.svg("wide", lambda axes: None, (6.0, 3.2))
    narrow = charts.svg("narrow", lambda axes: None, (3.0, 3.2))
    assert (svg.max_width(wide), svg.max_width(narrow), svg.max_width("<svg/>")) == ("34.0rem", "17.0rem", "34rem")
