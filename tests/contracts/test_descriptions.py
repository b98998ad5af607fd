"""What plugins see is described: every value and protocol, and every field and method of it."""

from __future__ import annotations

from typing import Any

import pytest

from ftkit.contracts.event import Event
from ftkit.plugins import KINDS
from ftkit.reference import contracts, event_types

CLASSES = sorted(
    {
        *(each for module in contracts.contract_modules() for each in contracts.public_classes(module)),
        *KINDS.values(),
        *event_types(),
    },
    key=lambda each: f"{each.__module__}.{each.__qualname__}",
)


def undescribed(kind: type[Any]) -> list[str]:
    """What of a class has no description."""
    own = (kind.__doc__ or "").strip()
    missing = [kind.__name__] if not own or own.startswith(f"{kind.__name__}(") else []
    missing += [name for name, _, _, text in contracts.fields(kind) if not text]
    return missing + [name for name, _, text in contracts.members(kind) if not text]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda each: each.__qualname__)
def test_every_field_and_method_is_described(kind: type[Any]) -> None:
    assert undescribed(kind) == []


def test_a_field_without_a_description_is_found() -> None:
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Careless(Event):
        """An event."""

        said: str
        """What."""
        unsaid: str

        def verb(self) -> None:
            pass

    assert undescribed(Careless) == ["unsaid", "verb"]


def test_the_page_has_every_value_and_every_protocol_and_the_same_text_on_every_machine() -> None:
    page = contracts.contract_page()
    for name in ("Contender", "Lineage", "ServedRequest", "Trial", "Report", "Checkpoints", "Attempt", "Mistake"):
        assert page.count(f"\n### {name}\n") == 1
    assert "0x" not in page
    assert page == contracts.contract_page()
