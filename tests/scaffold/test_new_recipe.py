"""`ftkit new recipe`: a look at a table becomes a recipe without a mistake."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from click.testing import CliRunner

from ftkit import cli
from ftkit.contracts import capable
from ftkit.contracts.tasks import Tasked
from ftkit.errors import DataError, PluginError, UsageError
from ftkit.recipe import loader
from ftkit.scaffold import columns, proposal, recipe
from ftkit.scaffold.proposal import Proposal

WORDS = ["lamp", "shop", "table", "weeks", "friend", "broke", "bright", "sturdy", "noisy", "cracked", "quiet", "cheap"]


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """A table in the form that its name says."""
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([*rows]), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def reviews(count: int, label: str, values: Sequence[Any], words: int = 9) -> list[dict[str, Any]]:
    """Rows with a number, a text and a label, every value as often; the first once more."""
    generator = random.Random(7)
    return [
        {"id": number, "body": " ".join(generator.choices(WORDS, k=words)), label: values[number % len(values)]}
        for number in range(count + 1)
    ]


def proposed(path: Path, **options: Any) -> Proposal:
    """What is proposed for a file."""
    dataset, table = columns.look(path)
    texts = options.get("texts") or (table.likely_text(),)
    label = options.get("label") or table.likely_label(texts)
    return proposal.propose(dataset, table, texts, label, options.get("target", "none"))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_table_becomes_a_recipe_without_a_mistake(tmp_path: Path, suffix: str) -> None:
    path = write_rows(tmp_path / f"Shop reviews{suffix}", reviews(300, "topic", ["price", "quality", "delivery"]))
    chosen = proposed(path, target="local")
    assert (chosen.texts, chosen.label, chosen.task) == (("body",), "topic", "single-label")
    recipe.write(chosen, tmp_path / "reviews.toml")
    plan = loader.load(tmp_path / "reviews.toml")
    assert (plan.name, plan.dataset.name, plan.search.metric) == ("shop-reviews", "table", "macro_f1")
    assert plan.missing == ()
    assert [test.name for test in plan.promote][:2] == ["metric-floor", "beats-majority"]
    assert plan.deploy is not None
    assert plan.deploy.endpoint == "shop-reviews"
    text = (tmp_path / "reviews.toml").read_text()
    assert 'path = "Shop reviews' in text, "the path begins at the recipe"
    assert "301 rows" in text
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([path.name, "reviews.toml"])


@pytest.mark.parametrize(
    ("values", "task", "metric", "floor"),
    [
        (["bad", "good"], "single-label", "macro_f1", 0.65),  # always one of two equal classes: 1/3, to 1
        ([1, 2, 3, 4, 5], "ordinal", "quadratic_kappa", 0.5),
        ([10, 20, 30], "single-label", "macro_f1", 0.55),
        (
            ["late|rude", "rude", "late"],
            "multi-label",
            "micro_f1",
            0.85,
        ),  # one label of two: 2 · 2/3 / (1 + 4/3) = 0.57
    ],
)
def test_labels_decide_task_metric_and_floor(
    tmp_path: Path, values: list[Any], task: str, metric: str, floor: float
) -> None:
    chosen = proposed(write_rows(tmp_path / "rows.csv", reviews(300, "label", values)))
    assert (chosen.task, chosen.metric) == (task, metric)
    assert chosen.floor == pytest.approx(floor, abs=0.1)
    assert chosen.baseline < chosen.floor < 1
    recipe.write(chosen, tmp_path / "rows.toml")
    dataset = loader.load(tmp_path / "rows.toml").dataset
    assert capable(dataset, Tasked)
    assert dataset.task == task


@pytest.mark.parametrize(
    ("above", "separator"),
    [
        ("Tickets of 2026\n", ","),
        ("Tickets of 2026,,\n", ","),
        ("\n", ","),
        ("Tickets\n\nby our shop\n", ";"),
        ("", ";"),
    ],
    ids=["a title", "a title with empty cells", "an empty line", "several titles", "none"],
)
def test_titles_above_the_columns_of_a_csv_are_no_columns(tmp_path: Path, above: str, separator: str) -> None:
    path = write_rows(tmp_path / "tickets.csv", reviews(100, "topic", ["price", "quality"]))
    path.write_text(above + path.read_text().replace(",", separator))
    chosen = proposed(path)
    assert (chosen.texts, chosen.label) == (("body",), "topic")
    recipe.write(chosen, tmp_path / "tickets.toml")
    assert "101 rows" in (tmp_path / "tickets.toml").read_text(), "titles are no rows"
    dataset = loader.load(tmp_path / "tickets.toml").dataset
    assert dataset.name == "table"


def test_lists_are_several_labels(tmp_path: Path) -> None:
    rows = reviews(100, "tags", [["late", "rude"], [], ["late"]])
    assert proposed(write_rows(tmp_path / "rows.jsonl", rows)).task == "multi-label"


def test_few_rows_and_other_languages_get_the_linear_model(tmp_path: Path) -> None:
    few = proposed(write_rows(tmp_path / "few.csv", reviews(60, "label", ["bad", "good"])))
    assert (few.backbone, few.max_length) == ("linear", None)
    rows = [{**row, "body": f"{row['body']} 灯很亮而且很结实"} for row in reviews(300, "label", ["bad", "good"])]
    other = proposed(write_rows(tmp_path / "other.jsonl", rows))
    assert other.backbone == "linear"
    assert "any language" in other.because


def test_the_lengths_of_the_texts_decide_how_much_is_read(tmp_path: Path) -> None:
    short = proposed(write_rows(tmp_path / "short.csv", reviews(300, "label", ["bad", "good"])))
    long = proposed(write_rows(tmp_path / "long.csv", reviews(300, "label", ["bad", "good"], words=120)))
    assert (short.backbone, short.max_length, short.lengths) == ("minilm", 64, (9, 9))
    assert (long.max_length, long.lengths) == (192, (120, 120))


def test_a_look_ends_after_some_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "LOOKED_AT", 1000)
    chosen = proposed(write_rows(tmp_path / "rows.csv", reviews(2999, "label", ["bad", "good"])))
    assert chosen.table.rows == 3000
    assert "the first 1,000 of 3,000 rows" in recipe.text(chosen, tmp_path / "rows.toml")


def test_what_stands_in_names_and_paths_is_written_as_toml(tmp_path: Path) -> None:
    rows = [{'te"xt': row["body"], "la bel\\": row["label"]} for row in reviews(300, "label", ["a", "b"])]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    recipe.write(proposed(path), tmp_path / "recipe.toml")
    dataset: Any = loader.load(tmp_path / "recipe.toml").dataset
    assert (dataset.text, dataset.label) == ('te"xt', "la bel\\")


# ----------------------------------------------------------------------------------- the command


def ftkit(*arguments: str, folder: Path) -> Any:
    """The command, as in a script: there is no terminal."""
    return CliRunner().invoke(cli.commands, ["new", "recipe", *arguments], catch_exceptions=True)


def test_the_command_takes_options_and_asks_nothing_without_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "rows.csv", [{**row, "title": "a lamp"} for row in reviews(300, "verdict", ["bad", "good"])])
    result = ftkit(
        "rows.csv", "--text", "title", "--text", "body", "--label", "verdict", "--target", "none", folder=tmp_path
    )
    assert result.exit_code == 0, result.output
    plan = loader.load("rows.toml")
    dataset: Any = plan.dataset
    assert (dataset.text, dataset.label, plan.deploy) == (("title", "body"), "verdict", None)
    again = ftkit("rows.csv", folder=tmp_path)
    assert isinstance(again.exception, UsageError)
    assert "there already" in again.exception.what


def test_a_terminal_is_asked_what_no_option_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        {**row, "shop": f"shop {number % 4}"} for number, row in enumerate(reviews(300, "verdict", ["bad", "good"]))
    ]
    write_rows(tmp_path / "rows.csv", rows)
    monkeypatch.setattr("ftkit.commands.new.terminal_is_there", lambda: True)
    result = CliRunner().invoke(cli.commands, ["new", "recipe"], input="rows.csv\n\nverdict\nnone\n")
    assert result.exit_code == 0, result.output
    dataset: Any = loader.load("rows.toml").dataset
    assert (dataset.text, dataset.label) == ("body", "verdict")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ([], "no data are named"),
        (["none.csv"], "no such file"),
        (["."], "this is a folder"),
        (["rows.csv", "--text", "bod"], "no column 'bod'"),
        (["rows.csv", "--label", "verdicts"], "no column 'verdicts'"),
        (["rows.csv", "--text", "verdict", "--label", "verdict"], "both text and label"),
        (["rows.csv", "--label", "same"], "only one label"),
        (["rows.csv", "--label", "id"], "a label of their own"),
        (["rows.csv"], "several columns may be the labels"),
        (["rows.csv", "--label", "verdict", "--target", "moon"], "no deployment target 'moon'"),
        (["rows.csv", "--label", "verdict", "--out", "no/such/rows.toml"], "no such folder"),
    ],
)
def test_what_cannot_be_is_refused_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = reviews(300, "verdict", ["bad", "good"])
    write_rows(tmp_path / "rows.csv", [{**row, "shop": row["id"] % 4, "same": "x"} for row in rows])
    result = ftkit(*arguments, folder=tmp_path)
    assert isinstance(result.exception, UsageError), result.output
    assert what in result.exception.what
    assert result.exception.hint or "both" in what
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_a_file_that_is_no_table_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "rows.docx").write_bytes(b"PK\x03\x04")
    with pytest.raises(PluginError, match="no installed data set reads"):
        columns.look(tmp_path / "rows.docx")
    (tmp_path / "rows.csv").write_text("text,label\n")
    with pytest.raises(DataError):
        columns.look(tmp_path / "rows.csv")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(DataError):
        columns.look(tmp_path / "damaged.parquet")
