"""The report's figures, also of trials that leave little to draw, and drawings of others made harmless."""

from __future__ import annotations

import math
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from ftkit.evaluation import charts
from ftkit.report import charts as drawings
from ftkit.report import svg
from ftkit.report.answers import Measure, Row

from .conftest import make_trials


def texts(drawing: str | None) -> list[str]:
    assert drawing is not None
    root = ElementTree.fromstring(drawing)
    return ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]


def test_trials_are_drawn_over_the_fields_that_differ_with_the_selected_one_named() -> None:
    found = texts(drawings.parallel(make_trials(9), "macro_f1", 0))
    assert {"learning_rate", "decay", "kind", "macro F1", "trial 0, selected"} <= set(found)
    same = [replace(each, values={**each.values, "kind": "a"}) for each in make_trials(9)]
    assert "kind" not in texts(drawings.parallel(same, "macro_f1", 0))


def test_values_of_several_kinds_none_among_them_and_metrics_that_are_no_numbers_are_drawn_all_the_same() -> None:
    odd = [None, True, "text", 3, (1, 2), 0.5, {"a": 1}]
    trials = [replace(each, values={"odd": odd[each.number]}) for each in make_trials(7)]
    trials[2] = replace(trials[2], metrics={"macro_f1": math.nan})
    assert drawings.parallel(trials, "macro_f1", 5) is not None


@pytest.mark.parametrize("count", [0, 1])
def test_a_single_trial_is_no_comparison(count: int) -> None:
    assert drawings.parallel(make_trials(count), "macro_f1", 0) is None


def test_curves_show_how_trials_ended_and_single_evaluations_make_none() -> None:
    failed = replace(make_trials(2)[1], state="failed")
    found = texts(drawings.curves([*make_trials(3)[::2], failed], "macro_f1", 0))
    assert {"trial 0, selected", "stopped early", "failed", "epoch"} <= set(found)
    once = [replace(each, history=each.history[:1]) for each in make_trials(3)]
    assert drawings.curves(once, "macro_f1", 0) is None


def test_parts_without_a_value_are_left_out() -> None:
    rows = [Row("class a", "roc_auc", 5, Measure(0.5, 0.4, 0.6)), Row("class b", "roc_auc", 1, Measure(math.nan))]
    found = texts(drawings.forest(rows, "ROC AUC"))
    assert "class a (5)" in found
    assert not [each for each in found if "class b" in each]
    assert drawings.forest(rows[1:], "ROC AUC") is None


def test_bars_have_their_time_beside_them_and_the_longest_of_many_are_kept() -> None:
    seconds = {f"trial {number}": float(number) for number in range(1, 60)}
    found = texts(drawings.bars(seconds, "Time"))
    assert {"trial 59", "trial 20", "59 s"} <= set(found)
    assert "trial 19" not in found
    assert drawings.bars({}, "Time") is None


def test_the_interval_of_a_share_is_wilsons() -> None:
    from scipy.stats import binomtest

    shares, rows = np.array([0.0, 0.5, 0.9, 1.0]), np.array([8, 10, 20, 7])
    low, high = drawings.wilson(shares, rows)
    for place, (share, count) in enumerate(zip(shares, rows, strict=True)):
        expected = binomtest(round(share * count), int(count)).proportion_ci(method="wilson")
        assert (low[place], high[place]) == (
            pytest.approx(expected.low, abs=1e-4),
            pytest.approx(expected.high, abs=1e-4),
        )


HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def test_a_drawing_keeps_its_shapes_and_its_own_references_under_its_name() -> None:
    found = svg.inlined(
        f'{HEAD} width="9pt" viewBox="0 0 9 9"><defs><path id="p" d="M 0 0"/></defs><use xlink:href="#p"/>'
        '<text>a &lt; b<tspan>c</tspan>d</text><rect clip-path="url(#p)"/></svg>',
        "one",
    )
    assert 'viewBox="0 0 9 9"' in found
    assert "width" not in found
    assert '<path id="one-p"' in found
    assert '<use href="#one-p">' in found
    assert "a &lt; b<tspan>c</tspan>d</text>" in found
    assert 'clip-path="url(#one-p)"' in found


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
def test_what_runs_loads_or_restyles_is_left_out_of_a_drawing(harm: str) -> None:
    found = svg.inlined(f"{HEAD}>{harm}</svg>", "one")
    assert not [each for each in ("alert", "example.org", "javascript", "display", "onclick") if each in found]


@pytest.mark.parametrize(
    ("drawing", "said"),
    [
        ("<svg><g></svg>", "is no SVG"),
        ("<html/>", "is no SVG"),
        ('<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>', "entities"),
        ("<svg>" + " " * 500_000 + "</svg>", "500,011 characters"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_the_reason(drawing: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        svg.inlined(drawing, "one")


def test_a_narrow_drawing_is_shown_narrow_so_that_its_letters_are_as_large_as_those_of_others() -> None:
    wide = charts.svg("wide", lambda axes: None, (6.0, 3.2))
    narrow = charts.svg("narrow", lambda axes: None, (3.0, 3.2))
    assert (svg.breadth(wide), svg.breadth(narrow), svg.breadth("<svg/>")) == ("34.0rem", "17.0rem", "34rem")
