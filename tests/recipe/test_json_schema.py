"""The JSON Schema accepts and refuses the same recipes as the loader."""

from __future__ import annotations

import tomllib
from typing import Any

import jsonschema
import pytest

from ftkit.recipe import loader
from ftkit.recipe.json_schema import schema


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    body = schema()
    jsonschema.Draft202012Validator.check_schema(body)
    return jsonschema.Draft202012Validator(body)


@pytest.mark.parametrize("name", ["quickstart", "bert_automotive", "deberta_automotive", "zoo"])
def test_the_recipes_that_come_with_ftkit_fit_the_schema(name: str, validator: Any) -> None:
    validator.validate(tomllib.loads(loader.bundled()[name].read_text()))


def test_a_resolved_plan_fits_the_schema(validator: Any) -> None:
    validator.validate(tomllib.loads(loader.load("quickstart").text))
    validator.validate(tomllib.loads(loader.load("quickstart", ["search.confirm=true"]).text))
    validator.validate(tomllib.loads(loader.load("zoo").text))


@pytest.mark.parametrize("confirm", [False, True, {}, {"top": 2}, {"top": 2, "seeds": 5}])
def test_every_form_of_confirm_fits_the_schema(confirm: Any, validator: Any) -> None:
    document = tomllib.loads(loader.bundled()["quickstart"].read_text())
    validator.validate(document | {"search": {"confirm": confirm}})


@pytest.mark.parametrize(
    "change",
    [
        {"sed": 1},
        {"backbone": {"use": "minilm", "epoch": 1}},
        {"backbone": {"use": "minilm", "epochs": "four"}},
        {"backbone": {"use": "minillm"}},
        {"backbone": {"epochs": 4}},
        {"search": {"metric": "auc"}},
        {"search": {"policy": {"use": "bandit", "slack": 0.1}}},
        {"search": {"space": {"epochs": []}}},
        {"search": {"space": {"epochs": {"learning_rate": 3}}}},
        {"search": {"prefer": {"cheapest": "price"}}},
        {"search": {"space": {"backbone": ["minilm"]}}, "backbone": {"use": "minilm", "minilm": 3}},
        {"search": {"confirm": "yes"}},
        {"search": {"confirm": {"tops": 3}}},
        {"search": {"confirm": {"seeds": "3"}}},
        {"promote": {"use": "beats-champion"}},
        {"promote": [{"use": "beats-champion", "margn": 0}]},
        {"rollout": {"canaries": [5]}},
        {"run": {"on": "local", "treads": 2}},
    ],
)
def test_what_the_loader_refuses_the_schema_refuses(change: dict[str, Any], validator: Any) -> None:
    document = tomllib.loads(loader.bundled()["quickstart"].read_text()) | change
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(document)


def test_every_option_is_described(validator: Any) -> None:
    for name, definition in validator.schema["$defs"].items():
        for option, entry in definition.get("properties", {}).items():
            assert entry.get("description"), f"{name}.{option}"
