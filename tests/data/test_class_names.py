"""A label of any type names a class: which values are surely the same class, and which are not."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.data.class_names import NotOneLabel, class_name, natural_order, same_class

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("billing", "billing"),
        (" billing\t", "billing"),
        ("billing  team", "billing team"),
        ("billing\u00a0team", "billing team"),
        ("billing\u202fteam", "billing team"),
        ("billing\nteam", "billing team"),
        ("billing\r\n\tteam\u2028", "billing team"),
        ("bill\u200bing", "billing"),
        ("\ufeffbilling", "billing"),
        ("bill\u00ading", "billing"),
        ("\u202abilling\u202c", "billing"),
        ("bil\x07ling\x1b", "billing"),
        ("bill\u200ding", "billing"),
        ("re\u0301clame\u0301", "r\u00e9clam\u00e9"),
        ("e\u200b\u0301", "\u00e9"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        ("half \ud83d", "half \ufffd"),
        (b"billing", "billing"),
        (1, "1"),
        (1.0, "1"),
        (-0.0, "0"),
        (2.5, "2.5"),
        (1e3, "1000"),
        (10**20, "1" + "0" * 20),
        (True, "true"),
        (False, "false"),
        (numpy.int64(3), "3"),
        (numpy.float32(3), "3"),
        (numpy.float64(2.5), "2.5"),
        (Decimal("3.00"), "3"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        ("007", "007"),
        ("1e3", "1e3"),
        ("(none)", "(none)"),
        ("[NAME]", "[NAME]"),
        ("{x}", "{x}"),
        (["billing"], "billing"),
        (("billing",), "billing"),
        ([["billing"]], "billing"),
        (["billing", "billing"], "billing"),
        (["billing", None], "billing"),
        ([1.0], "1"),
        (numpy.array(["billing"]), "billing"),
        ("['billing']", "billing"),
        ('["billing"]', "billing"),
        ('["r\\u00e9clam\\u00e9"]', "r\u00e9clam\u00e9"),
        ("('billing',)", "billing"),
        ("[3]", "3"),
    ],
)
def test_a_value_names_a_class(value: Any, name: str) -> None:
    assert class_name(value) == name
    assert class_name(name) == name, "a class name names itself"


@pytest.mark.parametrize(
    "value", [None, NAN, numpy.float32("nan"), Decimal("NaN"), "", " \n\u00a0", "\u200b", [], [None], "[]"]
)
def test_a_missing_label_is_none(value: Any) -> None:
    assert class_name(value) is None


@pytest.mark.parametrize(
    ("value", "description"),
    [
        (["billing", "urgent"], "a list of 2 (billing, urgent)"),
        ([0, 1, 0], "a list of 3 (0, 1, 0)"),
        ([1, 1], "a list of 2 (1, 1)"),
        ({"urgent", "billing"}, "a list of 2 (billing, urgent)"),
        (numpy.array([0, 1]), "a list of 2 (0, 1)"),
        ({"name": "billing"}, "an object ({'name': 'billing'})"),
        ("['billing', 'urgent']", "a list of 2 (billing, urgent)"),
        ("['billing' 'urgent']", "a list of 2 (billing, urgent)"),
        ('["billing", "urgent"]', "a list of 2 (billing, urgent)"),
        ("{'billing', 'urgent'}", "a list of 2 (billing, urgent)"),
        ("[billing, urgent]", "a list of 2 (billing,  urgent)"),
        ("[0 1 0]", "a list of 3 (0, 1, 0)"),
        ('{"name": "billing"}', 'an object as text ({"name": "billing"})'),
    ],
)
def test_several_labels_are_not_one(value: Any, description: str) -> None:
    with pytest.raises(NotOneLabel) as caught:
        class_name(value)
    assert " ".join(str(caught.value).split()) == " ".join(description.split())


@pytest.mark.parametrize(
    "same", [("1", "1.0", "1.00"), ("-1", "-1.0"), ("0", "-0.0", "0.0"), ("true", "True", "TRUE"), ("False", "false")]
)
def test_these_are_surely_one_class(same: tuple[str, ...]) -> None:
    assert len({same_class(name) for name in same}) == 1


@pytest.mark.parametrize(
    "apart",
    [
        ("7", "007"),
        ("1.1", "1.10"),
        ("1000", "1e3"),
        ("1", "true"),
        ("1", "-1"),
        ("yes", "Yes"),
        ("billing", "Billing"),
        ("positive", "positive."),
        ("a", "\u0430"),
        ("c", "c++", "c#"),
    ],
)
def test_these_are_not_surely_one_class(apart: tuple[str, ...]) -> None:
    assert len({same_class(name) for name in apart}) == len(apart)


@given(st.one_of(st.text(), st.floats(), st.integers(), st.booleans(), st.binary(), st.lists(st.text(), max_size=2)))
def test_any_value_is_a_name_on_one_line_or_missing_or_several(value: Any) -> None:
    try:
        name = class_name(value)
    except NotOneLabel:
        return
    assert name is None or (name == " ".join(name.split()) and len(name.splitlines()) == 1 and name.encode())


@pytest.mark.parametrize("turned", [False, True])
def test_classes_are_ordered_as_people_count_whatever_the_order_they_come_in(turned: bool) -> None:
    ordered = ["-1", "1.5", "2", "10", "a", "a01", "a1", "b", "item 2", "item 10"]
    assert sorted(reversed(ordered) if turned else ordered, key=natural_order) == ordered
