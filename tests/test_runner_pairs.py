"""A run on pairs of texts, from a table with two columns through the strict tests to the live endpoint."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ftkit
from ftkit import cli, pairs
from ftkit.bundle import bundle as bundles
from ftkit.errors import RecipeError
from ftkit.recipe import loader
from ftkit.testing.backbones import tiny_bert
from ftkit.testing.separable import CLASSES, PAIR, paired

ALL_TESTS = ("odd-input", "invariance", "direction", "reload", "served-parity", "examples")


def write_rows(path: Path, count: int = 260) -> Path:
    split = paired(count, 7)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*PAIR, "label"])
        writer.writerows(
            [*pairs.sides(text), CLASSES[label]] for text, label in zip(split.texts, split.labels, strict=True)
        )
    return path


def recipe(folder: Path, *, use: str = "encoder", tests: tuple[str, ...] = ALL_TESTS) -> str:
    options = {
        "encoder": f'checkpoint = "{folder / "checkpoint"}"\nlearning_rate = 3e-3\nepochs = 5\nbatch_size = 8\n'
        'max_length = 32\ndropout = 0.0\nprecision = "fp32"',
        "linear": "",
        "toy-words": "",
    }[use]
    sections = [f'[[promote]]\nuse = "{name}"' for name in tests]
    if "invariance" in tests:
        sections[tests.index("invariance")] += "\nmax_share = 1.0"
    if "examples" in tests:
        sections.append(f'path = "{folder / "examples.csv"}"')
    return f"""
name = "pairs"
[dataset]
use = "table"
path = "{folder / "rows.csv"}"
text = ["{PAIR[0]}", "{PAIR[1]}"]
join = "pair"
[backbone]
use = "{use}"
{options}
{chr(10).join(sections)}
"""


def test_a_backbone_that_reads_one_text_is_refused_when_the_recipe_is_loaded(tmp_path: Path, monkeypatch: Any) -> None:
    from ftkit.testing import toys

    write_rows(tmp_path / "rows.csv", 40)
    with toys.install(tmp_path), pytest.raises(RecipeError) as error:
        loader.loads(recipe(tmp_path, use="toy-words", tests=()))
    assert "reads one text, and the rows are pairs of premise and hypothesis" in str(error.value)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Any:
    pytest.importorskip("ftkit_zoo")
    pytest.importorskip("ftkit_strict")
    folder = tmp_path_factory.mktemp("pairs")
    patch = pytest.MonkeyPatch()
    patch.setenv("FTKIT_HOME", str(folder / "home"))
    tiny_bert(folder / "checkpoint")
    write_rows(folder / "rows.csv")
    write_rows(folder / "examples.csv", 10)
    path = folder / "pairs.toml"
    path.write_text(recipe(folder), encoding="utf-8")
    yield ftkit.run(path, emit=lambda event: None)
    patch.undo()


def test_a_run_on_pairs_is_promoted_by_tests_that_send_both_texts(outcome: Any) -> None:
    verdicts = {each.test: each for each in outcome.verdicts}
    assert outcome.promoted, {name: each.sentence for name, each in verdicts.items() if each.status == "failed"}
    assert verdicts["direction"].status == "not applicable"
    assert verdicts["odd-input"].numbers["broken_requests"] > 16
    assert not {name for name in verdicts["invariance"].numbers if name.startswith(("numbers", "added"))}
    bundle = bundles.verify(outcome.bundle)
    assert bundle.fields == PAIR and bundle.sample_request["data"][0].keys() == {*PAIR}
    assert "\ufdd0" not in (outcome.folder / "report.html").read_text(encoding="utf-8")


Predict = Callable[..., tuple[int, str, str]]


@pytest.fixture
def predict(outcome: Any, capsys: pytest.CaptureFixture[str]) -> Predict:
    def run(*arguments: object) -> tuple[int, str, str]:
        code = cli.main(["predict", str(outcome.bundle), *map(str, arguments)])
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


def test_pairs_are_predicted_from_arguments_and_from_tables(predict: Predict, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "some.csv", 20)
    (first, second), label = pairs.sides(paired(20, 7).texts[0]), CLASSES[0]
    given = predict(first, second, "--json")[1]
    assert json.loads(given) == {PAIR[0]: first, PAIR[1]: second, "label": label}
    assert predict("--file", rows)[1].split("\n")[0].endswith(label)
    renamed = tmp_path / "renamed.csv"
    renamed.write_text(rows.read_text(encoding="utf-8").replace("premise,hypothesis", "a,b", 1), encoding="utf-8")
    out = tmp_path / "scored.csv"
    code, _, errors = predict("--in", renamed, "--text", "a", "--text", "b", "--out", out, "--prefix", "my_")
    assert code == 0, errors
    with out.open(encoding="utf-8", newline="") as file:
        answers = [*csv.DictReader(file)]
    assert len(answers) == 20 and [*answers[0]][:4] == ["a", "b", "label", "my_label"]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["one text"], "1 texts are no pairs"),
        (["-"], "lines have one text"),
        (["--file", "rows.csv", "--text", "a"], "--text names 1 of two columns"),
        (["--in", "rows.csv", "--text", "a", "--out", "out.csv"], "--text names 1 of two columns"),
    ],
)
def test_what_is_no_pair_is_refused(
    predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "rows.csv", 4)
    code, _, errors = predict(*arguments)
    assert code == 2 and what in errors
