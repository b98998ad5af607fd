"""Recipes: the plan of a correct one, and the message of every mistake."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from ftkit.contracts import space
from ftkit.contracts.policies import Bandit
from ftkit.contracts.settings import Confirm
from ftkit.errors import ExitCode, RecipeError, UsageError
from ftkit.recipe import loader

GOOD = """\
name = "reviews"
seed = 7

[dataset]
use = "table"
path = "data/reviews.csv"
text = "text"
label = "label"

[backbone]
use = "minilm"
epochs = 2

[search]
metric = "roc_auc"
trials = 4
policy = { use = "bandit", slack_factor = 0.1 }
space.learning_rate = [1e-5, 2e-5]
space.epochs = { low = 1, high = 3 }

[[promote]]
use = "metric-floor"
floor = 0.5

[[promote]]
use = "beats-champion"

[registry]
use = "mlflow"
model = "reviews"

[deploy]
use = "local"
endpoint = "reviews"
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        path = tmp_path / "reviews.toml"
        path.write_text(text)
        return path

    return write


def problems(path: Path, *overrides: str, **shorthands: Any) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        loader.load(path, overrides, **shorthands)
    assert caught.value.exit_code == ExitCode.RECIPE
    return [
        f"{Path(problem.where).name}: {problem.key}: {problem.what} | {problem.hint}"
        for problem in caught.value.problems
    ]


def test_a_recipe_becomes_a_plan_of_components(write: Any, tmp_path: Path) -> None:
    plan = loader.load(write(GOOD))
    assert (plan.name, plan.seed, plan.platform.name) == ("reviews", 7, "local")
    assert plan.backbone.name == "minilm"
    assert plan.dataset.path == tmp_path / "data" / "reviews.csv"
    assert plan.search.policy == Bandit(slack_factor=0.1)
    assert plan.search.space == {"learning_rate": space.Choice((1e-5, 2e-5)), "epochs": space.Int(1, 3)}
    assert [test.name for test in plan.promote] == ["metric-floor", "beats-champion"]


def test_the_text_of_a_plan_makes_an_equal_plan_anywhere(write: Any, monkeypatch: Any, tmp_path: Path) -> None:
    plan = loader.load(write(GOOD), {"search.space.weight_decay": {"low": 1e-4, "high": 0.1, "log": True}})
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = loader.loads(plan.text)
    assert again == plan
    assert again.text == plan.text
    assert pickle.loads(pickle.dumps(plan)) == plan


def test_every_mistake_is_reported_at_once_with_its_line_and_a_hint(write: Any) -> None:
    text = """\
nmae = "reviews"
seed = -1
[dataset]
use = "table"
pth = "x.csv"
[backbone]
use = "minilm"
epochs = "four"
batch_size = 0
[search]
metric = "auc"
trials = 0
policy = { use = "bandit", slack_factr = 0.1 }
space.learning_rat = [1e-5]
space.epochs = { low = 3, high = 2 }
[[promote]]
use = "beats-champion"
[[promote]]
use = "beats-champio"
[deploy]
endpoint = "x"
[rollout]
canary = [50, 5]
"""
    messages = "\n".join(problems(write(text)))
    for expected in (
        "reviews.toml:1: nmae: unknown key | Did you mean 'name'?",
        "reviews.toml:2: seed: must be a whole number from 0",
        "reviews.toml:5: dataset.pth: unknown key; 'table' has no such option | Did you mean 'path'?",
        'reviews.toml:8: backbone.epochs: expected whole number or "auto", not "four"',
        "reviews.toml:9: backbone.batch_size: ",
        'reviews.toml:11: search.metric: expected "accuracy", "macro_f1"',
        'Did you mean "roc_auc"?',
        "reviews.toml:12: search.trials: trials must be at least 1",
        "reviews.toml:13: search.policy.slack_factr: unknown key; 'bandit' has no such option | Did you mean 'slack_factor'?",
        "reviews.toml:14: search.space.learning_rat: the backbone 'minilm' has no field 'learning_rat' to search",
        "Did you mean 'learning_rate'?",
        "reviews.toml:15: search.space.epochs: low must be below high, not 3 and 2",
        "reviews.toml:19: promote.1.use: no promotion test named 'beats-champio' is installed | Did you mean",
        "reviews.toml:20: deploy: `use` is missing",
        "reviews.toml:23: rollout.canary: canary steps must increase",
    ):
        assert expected in messages, f"{expected}\n--- not in ---\n{messages}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = \n", "reviews.toml:1: : not valid TOML"),
        ("[dataset]\n[dataset]\n", "reviews.toml:2: : not valid TOML"),
        ('[backbone]\nuse = "minilm"\n', "dataset: the section is missing"),
        ('dataset = "table"\n', "reviews.toml:1: dataset: must be a table"),
        ('promote = "beats-champion"\n', "reviews.toml:1: promote: must be a list of tables"),
        ('[run]\non = "moon"\n', "reviews.toml:2: run.on: no platform named 'moon' is installed"),
        ('[run]\noffline = "yes"\n', "reviews.toml:2: run.offline: must be true or false"),
        ('[search]\npolicy = "hope"\n', "reviews.toml:2: search.policy.use: no policy is named 'hope'"),
        ('[search]\nspace = "moon"\n', "no search space named 'moon' is installed"),
        ("[search]\ntrails = 3\n", "search.trails: unknown key; 'search' has no such option | Did you mean 'trials'?"),
        (
            "[search]\nmax_cost = 3\n",
            "reviews.toml:2: search.max_cost: max_cost needs a price: set price_per_trial_hour",
        ),
        ("[search]\nmax_minutes = 0\n", "reviews.toml:2: search.max_minutes: max_minutes must be above 0"),
        ("[search]\nmax_minutes = inf\n", "reviews.toml:2: search.max_minutes: expected number, not Infinity"),
        ("[rollout]\nbake = nan\n", "reviews.toml:2: rollout.bake: expected number, not NaN"),
        ("[rollout]\nbake = inf\n", "reviews.toml:2: rollout.bake: expected number, not Infinity"),
        ("[search]\nprice_per_trial_hour = -1\n", "search.price_per_trial_hour: price_per_trial_hour must be above 0"),
        ("[search]\nprice_per_hour = 3\n", "search.price_per_hour: unknown key"),
        ('[search]\nstart_from = " "\n', "reviews.toml:2: search.start_from: start_from must name a run"),
        (
            '[search]\npolicy = "hyperband"\n',
            "search.policy.largest: missing; 'hyperband' needs it | Evaluations of a whole",
        ),
        ("[search]\nconfirm = 3\n", "reviews.toml:2: search.confirm: must be a table, true or false, not 3"),
        ('[search]\nconfirm = "yes"\n', "search.confirm: must be a table, true or false, not 'yes'"),
        ("[search]\nconfirm = { seeds = 0 }\n", "reviews.toml:2: search.confirm.seeds: seeds must be at least 1"),
        ("[search.confirm]\ntop = 2.5\n", "reviews.toml:2: search.confirm.top: expected whole number, not 2.5"),
        (
            "[search.confirm]\nseds = 2\n",
            "search.confirm.seds: unknown key; 'confirm' has no such option | Did you mean 'seeds'?",
        ),
        ("[search]\nspace.epochs = []\n", "reviews.toml:2: search.space.epochs: a list of values"),
        ("[search]\nspace.epochs = [1, 1]\n", "has a value twice"),
        ("[search]\npolicy = { use = [1] }\n", "reviews.toml:2: search.policy.use: no policy is named [1]"),
        ("[[promote]]\nuse = [1]\n", "reviews.toml:2: promote.0.use: must be the name of a promotion test, not [1]"),
        ("[dataset]\nuse = { a = 1 }\n", "dataset.use: must be the name of a dataset, not {'a': 1}"),
        (
            '[backbone]\nuse = [1]\n[search]\nspace.backbone = ["minilm"]\n',
            "backbone.use: [1] is not among the backbones of search.space.backbone",
        ),
        (
            '[dataset]\nuse = "table"\npath = "a\\u0000b"\n',
            "reviews.toml:3: dataset.path: this is no path: it has the character NUL",
        ),
        (
            f'[dataset]\nuse = "table"\ntrain = ["a.csv", "{"b" * 300}"]\ntest = "c.csv"\n',
            "dataset.train: this is no path: a name in it has 300 bytes, and a file's name has at most 255",
        ),
        (f"seed = {'9' * 5000}\n", "reviews.toml:1: : a number has thousands of digits"),
        (f"seed = 0x{'f' * 6000}\n", "reviews.toml:1: seed: a whole number has at most 64 bits"),
        (f"[search]\ntrials = {10**30}\n", "reviews.toml:2: search.trials: a whole number has at most 64 bits"),
        (f"a = {'[' * 100}{']' * 100}\n", "lie in each other more than 32 times"),
        (f"a = {'[' * 9000}{']' * 9000}\n", "lie in each other more than 32 times"),
        (f"{'a.' * 500}a = 1\n", "lie in each other more than 32 times"),
    ],
)
def test_each_mistake_has_its_place(write: Any, text: str, expected: str) -> None:
    assert expected in "\n".join(problems(write(text)))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("search.space.epochs=[1.5]", "1.5 does not fit: expected whole number"),
        ("search.space.learning_rate=[-1.0]", "-1.0 does not fit"),
        ("backbone.batch_size=x", "expected whole number"),
        ("backbone.epochs=1", "the field is searched, so this value would never be used"),
        ("promote.5.use=x", "the list has 2 entries"),
        ("name.inner=3", "a part of the key before the last one is not a table"),
        ("nonsense", "not of the form KEY=VALUE"),
    ],
)
def test_a_wrong_override_is_reported_as_it_was_written(write: Any, override: str, expected: str) -> None:
    (message,) = problems(write(GOOD), override)
    assert f"--set {override}" in message
    assert expected in message


def test_confirmation_is_off_by_default_and_can_be_switched_off(write: Any) -> None:
    assert loader.load(write(GOOD)).search.confirm is None
    confirming = GOOD.replace("[[promote]]", "confirm = { top = 2 }\n\n[[promote]]", 1)
    assert loader.load(write(confirming)).search.confirm == Confirm(top=2, seeds=3)
    assert loader.load(write(confirming), ["search.confirm=false"]).search.confirm is None
    assert loader.load(write(confirming), ["search.confirm.seeds=5"]).search.confirm == Confirm(top=2, seeds=5)
    assert loader.load(write(GOOD), ["search.confirm.seeds=5"]).search.confirm == Confirm(top=3, seeds=5)
    assert loader.load(write(GOOD), ["search.confirm=true"]).search.confirm == Confirm()


def test_the_text_of_a_plan_has_the_confirmation_only_where_the_recipe_has_one(write: Any) -> None:
    plan = loader.load(write(GOOD), ["search.confirm={top = 2, seeds = 4}"])
    assert loader.loads(plan.text) == plan
    assert loader.loads(plan.text).search.confirm == Confirm(top=2, seeds=4)
    # The text identifies a run, so recipes without it must keep theirs.
    assert "confirm" not in loader.load(write(GOOD)).text


def test_the_engine_to_deploy_must_be_among_those_of_the_backbone(write: Any) -> None:
    (message,) = problems(write(GOOD), "deploy.engine=onnx")
    assert "deploy.engine: the engine 'onnx' is not in backbone.engines" in message
    assert "Add it to backbone.engines, or give --set deploy.engine=native" in message
    plan = loader.load(write(GOOD), ["deploy.engine=onnx", "backbone.engines=['onnx']"])
    assert loader.loads(plan.text) == plan


def test_a_platform_that_cannot_repeat_trials_refuses_the_recipe(write: Any, monkeypatch: Any) -> None:
    from ftkit_local.platform import LocalPlatform

    monkeypatch.delattr(LocalPlatform, "confirms")
    (message,) = problems(write(GOOD), "search.confirm=true")
    assert "search.confirm: the platform 'local' cannot train trials again with other seeds" in message
    assert "--set search.confirm=false" in message
    assert loader.load(write(GOOD), ["search.confirm=false"]).search.confirm is None


def test_a_grid_over_a_continuous_range_is_refused(write: Any) -> None:
    (message,) = problems(write(GOOD), "search.sampler=grid", "search.space.learning_rate={low=1e-5, high=1e-4}")
    assert "the grid sampler cannot search a continuous range" in message


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("promote.².x=1", "counted from 0; '²' is not one of them"),
        (f"promote.{'9' * 5000}.x=1", "is not one of them"),
        (f"seed={'9' * 5000}", "seed: must be a whole number"),
        (f"seed=0x{'f' * 6000}", "seed: must be a whole number"),
        (f"seed={'[' * 5000}{']' * 5000}", "seed: must be a whole number"),
        (f"{'a.' * 500}a=1", "lie in each other more than 32 times"),
    ],
)
def test_no_override_is_too_long_for_a_sentence(write: Any, override: str, expected: str) -> None:
    problem = problems(write(GOOD), override)[0]
    assert expected in problem
    assert len(problem) < 700


def test_overrides_win_and_words_need_no_quotes(write: Any) -> None:
    plan = loader.load(
        write(GOOD),
        [
            "backbone.batch_size=1",
            "search.space.epochs=[2]",
            "dataset.label=stars",
            "promote=[]",
            "backbone.batch_size=3",
        ],
    )
    assert plan.backbone.batch_size == 3
    assert plan.search.space["epochs"] == space.Choice((2,))
    assert plan.dataset.label == "stars"
    assert plan.promote == ()


def test_a_path_that_is_a_day_starts_at_the_recipe_as_any_other(write: Any, tmp_path: Path) -> None:
    plan = loader.load(write(GOOD.replace('"data/reviews.csv"', "2026-11-29")))
    assert plan.dataset.path == (tmp_path / "2026-11-29")
    assert loader.loads(plan.text).text == plan.text


def test_a_path_of_an_override_starts_in_the_working_folder(write: Any, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert loader.load(write(GOOD), ["dataset.path=x.csv"]).dataset.path == tmp_path / "here" / "x.csv"
    assert loader.load(write(GOOD), {"dataset.path": Path("x.csv")}).dataset.path == tmp_path / "here" / "x.csv"


def test_a_checkpoint_is_a_folder_where_there_is_one_and_a_hub_name_elsewhere(write: Any, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    text = GOOD.replace('use = "minilm"', 'use = "bert-base-cased"\ncheckpoint = "tiny"')
    assert loader.load(write(text)).backbone.checkpoint == str(tmp_path / "tiny")
    text = text.replace('"tiny"', '"google-bert/bert-base-uncased"')
    assert loader.load(write(text)).backbone.checkpoint == "google-bert/bert-base-uncased"


def test_options_of_another_target_are_kept_in_a_sub_table_of_its_name(write: Any) -> None:
    text = GOOD.replace("[deploy]", "[deploy.local]\nport = 4321\n[dataset.bbc-news]\n[deploy]")
    plan = loader.load(write(text))
    assert plan.deploy.port == 4321
    messages = problems(write(text.replace("port = 4321", "prt = 4321")))
    assert "reviews.toml:33: deploy.local.prt: unknown key" in messages[0]
    messages = problems(write(text.replace("[dataset.bbc-news]", "[dataset.bbc-news]\nnope = 1")))
    assert "dataset.bbc-news.nope: unknown key" in messages[0]
    messages = problems(write(text.replace("[dataset.bbc-news]", "[dataset.bbc-nws]")))
    assert "dataset.bbc-nws: unknown key" in messages[0]
    messages = problems(write(text.replace("[dataset.bbc-news]", "[dataset.mlflow]")))
    assert "dataset.mlflow: unknown key" in messages[0], "a component of another kind is a mistake"


def test_a_wrong_override_of_a_targets_own_table_is_reported_as_it_was_written(write: Any) -> None:
    (message,) = problems(write(GOOD), "deploy.local.prt=1")
    assert message.startswith("--set deploy.local.prt=1: deploy.local.prt: unknown key")


def test_a_path_in_a_targets_own_table_starts_where_the_table_was_written(
    write: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    text = GOOD.replace('path = "data/reviews.csv"\n', "")
    plan = loader.load(write(text + '[dataset.table]\npath = "of-the-file.csv"\n'))
    assert plan.dataset.path == tmp_path / "of-the-file.csv"
    plan = loader.load(write(text), ["dataset.table.path=of-the-shell.csv"])
    assert plan.dataset.path == tmp_path / "here" / "of-the-shell.csv"


def test_shorthands_and_offline_reach_the_components(write: Any) -> None:
    plan = loader.load(write(GOOD), deploy="none", offline=True, on="local", fresh=True)
    assert plan.deploy is None
    assert plan.offline
    assert plan.backbone.offline
    assert plan.fresh


def test_a_ready_made_space_can_have_further_fields(write: Any) -> None:
    text = GOOD.replace(
        "space.learning_rate = [1e-5, 2e-5]\nspace.epochs = { low = 1, high = 3 }", 'space.use = "original"'
    )
    plan = loader.load(write(text), ["search.space.dropout=[0.0, 0.1]"])
    assert space.Choice((8,)) == plan.search.space["batch_size"]
    assert len(plan.search.space["learning_rate"].values) == 7
    assert plan.search.space["dropout"] == space.Choice((0.0, 0.1))


def test_the_default_name_is_that_of_the_file(write: Any) -> None:
    assert loader.load(write(GOOD.replace('name = "reviews"\n', ""))).name == "reviews"


def test_a_missing_recipe_is_an_error_with_the_recipes_of_its_folder(write: Any, tmp_path: Path) -> None:
    write(GOOD)
    with pytest.raises(UsageError, match=r"there is no such recipe(.|\n)*reviews\.toml"):
        loader.load(tmp_path / "nope.toml")


@pytest.mark.parametrize("name", ["quickstart", "bert_automotive", "deberta_automotive", "zoo"])
def test_the_recipes_that_come_with_ftkit_pass_the_check(name: str) -> None:
    path = loader.bundled()[name]
    plan = loader.load(name)
    assert plan.name == name
    assert path.read_text().startswith(f"# ftkit run recipes/{name}.toml\n"), "the first line is the command"


def test_a_name_alone_is_a_file_of_that_name_here_or_else_a_recipe_that_comes_with_ftkit(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").mkdir()  # a folder is no recipe
    assert loader.load("quickstart").path == loader.bundled()["quickstart"].absolute()
    write(GOOD).rename(tmp_path / "quickstart.toml")
    assert loader.load("quickstart").path == tmp_path / "quickstart.toml"
    (tmp_path / "plain").write_text(GOOD)
    assert loader.load("plain").path == tmp_path / "plain"
    with pytest.raises(UsageError, match="there is no such recipe"):
        loader.load("elsewhere/quickstart")


def test_the_recipe_of_the_original_has_its_settings() -> None:
    plan = loader.load("bert_automotive")
    assert plan.dataset.category == "Automotive"
    assert (plan.search.trials, plan.search.concurrency, plan.search.metric) == (20, 3, "roc_auc")
    assert plan.search.policy == Bandit(slack_factor=0.1, interval=5)
    for name, dimension in loader.load("bert_automotive", {"search.space.use": "original"}).search.space.items():
        single = space.Choice((getattr(plan.backbone, name),))
        assert dimension == plan.search.space.get(name, single), name
    assert plan.registry.model == "sentiment_classifier"


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a device without an end")
def test_a_device_without_an_end_and_a_path_that_no_file_can_have_are_no_recipes() -> None:
    for path, what in (("/dev/zero", "this is no recipe"), ("x" * 5000, "cannot be read|no such recipe")):
        with pytest.raises(UsageError, match=what):
            loader.load(path)
