"""A search over several backbones: what the recipe says of each, and every mistake with its place."""

from __future__ import annotations

import pytest

from ftkit.contracts import space
from ftkit.errors import RecipeError
from ftkit.recipe import loader
from ftkit.runs.plan_keys import plan_key

RECIPE = """\
name = "zoo"

[dataset]
use = "bbc-news"

[backbone.minilm]
epochs = 2
max_length = 96

[backbone.linear]
C = 3.0

[search]
trials = 4
space.backbone = ["linear", "minilm"]
space.minilm.learning_rate = [1e-4, 2e-4]
"""


def test_each_backbone_has_its_defaults_its_options_and_its_fields() -> None:
    plan = loader.loads(RECIPE)
    linear, minilm = plan.backbones
    assert plan.backbone == linear
    assert (vars(linear)["C"], vars(linear)["words"]) == (3.0, 2)
    assert (vars(minilm)["epochs"], vars(minilm)["max_length"], vars(minilm)["layers"]) == (2, 96, None)
    assert plan.search.space == {
        "backbone": space.BackboneChoice(("linear", "minilm")),
        "minilm.learning_rate": space.Choice((1e-4, 2e-4)),
    }
    assert loader.loads(plan.text) == plan
    assert plan.drawn({"backbone": "minilm", "minilm.learning_rate": 1e-4}) == (minilm, {"learning_rate": 1e-4})
    assert plan.drawn({"backbone": "linear"}) == (linear, {})


@pytest.mark.parametrize(
    ("overrides", "backbone", "field", "value"),
    [
        (["backbone.class_weights=balanced"], "linear", "class_weights", "balanced"),  # without `use` it is for all
        (["backbone.class_weights=balanced"], "minilm", "class_weights", "balanced"),
        (["backbone.use=linear", "backbone.class_weights=balanced"], "minilm", "class_weights", "none"),
        (["backbone.use=minilm", "backbone.epochs=1"], "minilm", "epochs", 2),  # its own table comes first
        (["backbone.deberta-v3-small.epochs=1"], "minilm", "epochs", 2),  # of one that is not searched
    ],
)
def test_options_directly_in_the_section_are_for_all_or_for_the_one_in_use(
    overrides: list[str], backbone: str, field: str, value: object
) -> None:
    plan = loader.loads(RECIPE, overrides)
    assert {each.name: each for each in plan.backbones}[backbone].__dict__[field] == value


def test_fields_directly_in_the_space_are_for_every_backbone() -> None:
    plan = loader.loads(RECIPE, ["search.space.class_weights=['none', 'balanced']"])
    assert {name for name in plan.search.space if name.endswith("class_weights")} == {
        "linear.class_weights",
        "minilm.class_weights",
    }
    assert loader.loads(plan.text) == plan


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["search.space.backbone=[]"], "search.space.backbone: must be a list of names of backbones"),
        (["search.space.backbone=linear"], "search.space.backbone: must be a list of names of backbones"),
        (["search.space.backbone=['linear', 'linear']"], "search.space.backbone.1: 'linear' is there twice"),
        (
            ["search.space.backbone=['linear', 'minilmm']"],
            "search.space.backbone.1: no backbone named 'minilmm' is inst",
        ),
        (["search.space.backbone=['linear', 3]"], "search.space.backbone.1: must be the name of a backbone, not 3"),
        (["backbone.use=deberta-v3-small"], "backbone.use: 'deberta-v3-small' is not among the backbones of search.s"),
        (["backbone.minilm.epochs=0"], "backbone.minilm.epochs: epochs must be at least 1"),
        (["backbone.linear.epochs=2"], "backbone.linear.epochs: unknown key; 'linear' has no such option"),
        (["backbone.epochs=2"], "backbone.epochs: unknown key; 'linear' has no such option"),
        (["backbone.deberta-v3-small.foo=2"], "backbone.deberta-v3-small.foo: unknown key"),
        (["search.space.linear.epochs=[1]"], "search.space.linear.epochs: the backbone 'linear' has no field 'epochs'"),
        (["search.space.epochs=[1, 2]"], "search.space.epochs: the backbone 'linear' has no field 'epochs' to search"),
        (["search.space.minilm.epochs=[0]"], "search.space.minilm.epochs: 0 does not fit: epochs must be at least 1"),
        (["search.space.minilm=3"], "search.space.minilm: must be a table of fields of the backbone 'minilm'"),
        (
            ["search.space.deberta-v3-small.foo=[1]"],
            "search.space.deberta-v3-small.foo: the backbone 'deberta-v3-small'",
        ),
        (["backbone.minilm.learning_rate=1e-3"], "backbone.minilm.learning_rate: the field is searched, so this value"),
        (["search.sampler=grid", "search.space.linear.C={low = 1.0, high = 2.0}"], "search.space.linear.C: the grid"),
        (["run.processes=2"], "run.processes: the backbone 'linear' cannot train one model in 2 processes"),
        (["deploy.use=local", "deploy.endpoint=a", "deploy.engine=onnx"], "the backbone 'linear' has no engine 'onnx'"),
        (["deploy.use=local", "deploy.endpoint=a", "deploy.engine=onnx"], "'onnx' is not in backbone.minilm.engines"),
        (["backbone.minilm.teacher=champion"], "backbone.minilm.teacher: there is no [registry]"),
        (["search.prefer=latency"], "search.prefer: must be a table, not 'latency'"),
        (["search.prefer={cheapest = 'price'}"], 'search.prefer.cheapest: expected "latency", "size" or "parameters"'),
        (["search.prefer={cheapest = 'size', within = -1}"], "search.prefer.within: within must not be negative"),
        (["run.on=hyperdrive"], "search.space.backbone: the platform 'hyperdrive' searches the fields of one backbone"),
        (
            ["run.on=hyperdrive", "search.prefer={cheapest = 'size'}"],
            "search.prefer: the platform 'hyperdrive' keeps no other model than the best one",
        ),
    ],
)
def test_every_component_is_checked_when_the_recipe_is_loaded(overrides: list[str], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        loader.loads(RECIPE, overrides)
    assert message in str(caught.value)


def test_a_mistake_has_the_line_of_the_table_where_it_was_written() -> None:
    text = RECIPE.replace('"minilm"]', '"minilm", "minilm"]').replace("C = 3.0", "C = -1.0")
    with pytest.raises(RecipeError) as caught:
        loader.loads(text)
    places = [(problem.where, problem.key) for problem in caught.value.problems]
    assert places == [("recipe:11", "backbone.linear.C"), ("recipe:15", "search.space.backbone.2")]


def test_a_fitted_at_once_backbone_needs_no_checkpoints() -> None:
    assert loader.loads(RECIPE, ["search.checkpoint=10m"]).search.checkpoint == "10m"


def test_options_that_backbones_have_only_since_some_time_do_not_make_another_run() -> None:
    text = loader.loads(RECIPE).text
    assert "label_smoothing = 0.0\n" in text
    assert plan_key(text) == plan_key(text.replace("label_smoothing = 0.0\n", ""))
    assert plan_key(text) != plan_key(text.replace("max_length = 96\n", "max_length = 64\n"))
