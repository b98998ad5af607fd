"""Runs of older versions go on: an option that is new changes no key until it is used."""

from __future__ import annotations

import pytest

from ftkit.runs.plan_keys import plan_key

TABLE = '[dataset]\nuse = "table"\ngroup = ""\norder = ""\n'
ARCHIVE = '[dataset]\nuse = "amazon-ucsd"\n'


@pytest.mark.parametrize(
    ("before", "added"),
    [(TABLE, 'task = "single-label"\nseparator = "auto"\ntime = ""\n'), (ARCHIVE, 'task = "single-label"\ngroup = ""\ntime = ""\n')],
)  # fmt: skip
def test_an_option_that_was_added_changes_the_key_when_it_is_used(before: str, added: str) -> None:
    assert plan_key(before) == plan_key(before + added)
    assert plan_key(before) != plan_key(before + added.replace('time = ""', 'time = "day"'))
    assert plan_key(before) != plan_key(before + added.replace("single-label", "ordinal"))


def test_an_option_that_a_component_always_had_is_part_of_the_key() -> None:
    assert plan_key(TABLE) != plan_key(TABLE.replace('group = ""\n', ""))
