"""The report of runs that were promoted, failed or were interrupted, and of hostile texts."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ftkit
from ftkit import cli, plugins, report
from ftkit.bundle import promotion_record
from ftkit.contracts import Split, Verdict
from ftkit.display import plain, summary
from ftkit.display.board import Board
from ftkit.errors import StageError
from ftkit.events import Event, Noticed, ReportWritten, RunFinished
from ftkit.report import facts
from ftkit.runs import ledger, written_files
from ftkit.testing import toys
from ftkit.testing.toys import ToyReviews

from .conftest import RECIPE, Make, make_trials, with_texts


class Outline(HTMLParser):
    """The parts of a page: its headings, its text, and every element with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("a", "bdi", "code", "strong", "time"):
            self.text += " "  # a browser begins another line or cell
        if tag not in ("meta", "link", "br", "img", "input"):
            self._open.append(tag)
        if tag in ("h1", "h2"):
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes what is not open"

    def handle_data(self, data: str) -> None:
        if {"h1", "h2"} & set(self._open):
            self.headings[-1] += data
        if not {"style", "script"} & set(self._open):
            self.text += data


def outline(book: ledger.Ledger) -> Outline:
    page = Outline(report.write(book).read_text(encoding="utf-8"))
    page.text = " ".join(page.text.split())
    return page


def test_the_report_of_a_finished_run_has_all_sections_from_the_verdict_to_the_origin(make: Make) -> None:
    book = make()
    page = outline(book)
    assert page.headings == [
        "toy",
        "✗Not promoted",
        "Promotion tests",
        "Test metrics",
        "Mistakes",
        "Rows that flipped",
        "Parts of the test rows",
        "Certainty",
        "Trials",
        "Data",
        "Time",
        "Environment",
        "Origin",
    ]
    for status in ("✓ passed", "✗ failed", "! error", "– not applicable"):
        assert status in page.text
    for text in ("broken gave no verdict: it broke off: ValueError: no rows", "champion version 3", "Python 3.11.0"):
        assert text in page.text
    assert page.text.index("broken ! error") < page.text.index("metric-floor ✓ passed"), (
        "what prevents the promotion is first"
    )
    assert str((book.fact("selected") or {})["bundle"]) in page.text


def test_the_same_journal_gives_the_same_bytes(make: Make) -> None:
    book = make()
    first = report.write(book).read_bytes()
    assert report.write(ledger.find(book.run)).read_bytes() == first


@pytest.mark.parametrize(
    ("upto", "title", "shown"),
    [
        ("data", "!Interrupted", {"Data"}),
        ("trials", "!Interrupted", {"Data", "Trials"}),
        ("failed", "✗The run failed", {"Data", "Trials"}),
        ("selected", "!Interrupted", {"Data", "Trials"}),
        ("tested", "!Interrupted", {"Data", "Trials", "Promotion tests", "Mistakes"}),
    ],
)
def test_the_report_of_an_unfinished_run_shows_what_was_finished(
    make: Make, upto: str, title: str, shown: set[str]
) -> None:
    page = outline(make(upto))
    assert page.headings[1] == title
    assert shown <= set(page.headings)
    assert ("Promotion tests" in page.headings) == (upto == "tested")
    assert ("The reason: the disk is full." in page.text) == (upto == "failed")


def test_what_changed_while_a_run_was_interrupted_is_shown_once_with_a_link_from_the_top(make: Make) -> None:
    book = make()
    assert "since the run began" not in outline(book).text
    file, versions = (
        "/data/rows.csv (dataset.path) has changed",
        "The run began with torch 2.1, now 2.2: results may differ",
    )
    book.append("changed", sentences=[file])
    book.append("changed", sentences=[file, f"{versions} password=hunter2hunter2"])
    page = outline(book)
    assert "2 changes since the run began" in page.text
    assert ("a", {"href": "#environment"}) in page.elements
    environment = page.text.rpartition("something had changed when it went on:")[2].partition("Origin")[0]
    assert environment.count(file) == environment.count(versions) == 1
    assert "hunter2" not in page.text
    assert report.summary(facts.read(book))["changed"][0] == file


def test_a_run_that_has_only_started_has_a_report() -> None:
    book, _ = ledger.begin("toy", RECIPE, fresh=True)
    (book.folder / "recipe.toml").write_text("this is no recipe")
    page = outline(book)
    assert page.headings[1] == "!Interrupted"
    assert "No trial has ended." in page.text


def test_warnings_on_the_data_are_announced_at_the_top_and_shown_with_the_data(make: Make) -> None:
    data = ToyReviews().load(7, lambda _: None)
    files = {"/home/a/reviews.csv": {"format": "csv", "encoding": "utf-8"}}
    tokens = {"max_length": 64, "unknown": 0.65}
    warned = replace(data.report, warnings=("It reads <b>65 %</b> as unknown.",), files=files, tokens=tokens)
    page = outline(make(data=replace(data, report=warned)))
    assert "1 warning on the data" in page.text
    assert "Warning: It reads <b>65 %</b> as unknown." in page.text
    assert "reviews.csv was read as csv, encoding utf-8" in page.text
    assert "/home/a" not in page.text
    assert "65 % of the tokens are unknown" in page.text
    assert "warning" not in outline(make()).text


def test_the_report_does_not_open_the_test_split_before_the_promotion_tests(make: Make) -> None:
    book = make("selected")
    assert "Trials" in outline(book).headings
    assert not (book.folder / "data" / "test.arrow").exists()


def test_no_plugin_of_the_run_is_needed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    book = make()

    def missing() -> None:
        raise AssertionError("the report loads plugins")

    monkeypatch.setattr(plugins, "load", missing)
    assert "Mistakes" in outline(book).headings


HOSTILE = "</style></script><script>alert(1)</script><!-- \x00\x1b[31m\ud800\u202e &amp; \"'"


def test_hostile_texts_class_names_and_sentences_are_shown_as_text(make: Make) -> None:
    data = with_texts(ToyReviews().load(7, lambda _: None), [HOSTILE] * 12)
    data = replace(
        data, classes=("bad <b>", "good\u202e\ud800"), report=replace(data.report, source=HOSTILE, notes=[HOSTILE])
    )
    verdict = {"test": "<i>mine</i>", "status": "failed", "sentence": HOSTILE, "numbers": {HOSTILE: 1.0, "none": None}}
    trials = [replace(each, error=HOSTILE, state="failed", values={"<b>": HOSTILE}) for each in make_trials(2)]
    page = outline(
        make(
            data=data, verdicts=[verdict], trials=[*make_trials(1), *[replace(t, number=t.number + 1) for t in trials]]
        )
    )
    assert sum(tag == "script" for tag, _ in page.elements) == 1
    assert not {"b", "i", "img", "iframe"} & {tag for tag, _ in page.elements}
    assert "\\x00\\x1b[31m\\ud800\\u202e" in page.text
    assert "&amp;amp;" not in page.text


def test_a_long_text_is_cut_and_its_length_is_shown(make: Make) -> None:
    data = with_texts(ToyReviews().load(7, lambda _: None), ["broke " * 100_000] * 12)
    book = make(data=data)
    assert "(600,000 characters)" in outline(book).text
    assert (book.folder / report.NAME).stat().st_size < 200_000


def test_the_page_loads_nothing_from_elsewhere(make: Make) -> None:
    page = outline(make())
    addresses = {
        value
        for _, values in page.elements
        for key, value in values.items()
        if key in ("src", "href", "action", "data")
    }
    assert {each for each in addresses if each and not each.startswith(("#", "data:,"))} == set()
    text = report.write(make()).read_text(encoding="utf-8")
    assert "@import" not in text
    assert not re.findall(r"url\((?!#)", text)
    (policy,) = [values["content"] for tag, values in page.elements if values.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_a_chart_of_a_promotion_test_is_shown_without_scripts_and_images(make: Make) -> None:
    figure = (
        '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)" aria-label="fine"><script>alert(1)</script>'
        '<image href="https://example.org/x.png"/><g id="a"><path d="M 0 0" style="fill: url(#a)"/></g></svg>'
    )
    verdicts = [
        {"test": "drawn", "status": "passed", "sentence": "s", "numbers": {}, "figure": figure},
        {
            "test": "huge",
            "status": "passed",
            "sentence": "s",
            "numbers": {},
            "figure": "<svg>" + " " * 500_000 + "</svg>",
        },
        {"test": "torn", "status": "passed", "sentence": "s", "numbers": {}, "figure": "<svg><g></svg>"},
    ]
    page = outline(make(verdicts=verdicts))
    assert ("path", {"d": "M 0 0", "style": "fill: url(#test0-a)"}) in page.elements
    assert "https://example.org" not in page.text
    assert not [values for _, values in page.elements if "onload" in values]
    assert page.text.count("Its chart is not shown") == 2


def test_thousands_of_trials_rows_and_classes_keep_the_page_small(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)  # six thousand journal lines, which this test need not keep safe
    loaded = ToyReviews(rows=3000).load(7, lambda _: None)
    words = [f"class {number}" for number in range(60)]
    spread = lambda split: Split(split.texts, [n % 60 for n in range(len(split))], split.columns)  # noqa: E731
    data = replace(
        loaded, classes=tuple(words), train=spread(loaded.train), valid=spread(loaded.valid), test=spread(loaded.test)
    )
    data = replace(
        data, report=replace(data.report, counts={"train": dict.fromkeys(words, 40), "test": dict.fromkeys(words, 5)})
    )
    numbers = {f"number {n}": float(n) for n in range(5000)}
    verdicts = [{"test": "wordy", "status": "failed", "sentence": "s " * 5000, "numbers": numbers}] * 20
    book = make(data=data, trials=make_trials(3000), verdicts=verdicts)
    page = outline(book)
    assert (book.folder / report.NAME).stat().st_size < 3_000_000
    assert "2,800 more trials are in the journal" in page.text
    assert "too many for a matrix" in page.text
    assert "The 40 largest of 60 classes" in page.text


def test_a_class_without_test_rows_has_a_row_without_shares(make: Make) -> None:
    loaded = ToyReviews().load(7, lambda _: None)
    data = replace(loaded, classes=(*loaded.classes, "never seen"))
    page = outline(make(data=data))
    assert "never seen" in page.text
    assert page.text.count("class never seen") == 0, "there is nothing to measure"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("gone", "were not stored with this run"),
        ("shape", "do not fit the rows"),
        ("nan", "probabilities that are not numbers"),
        ("changed", "was changed since it was written"),
        ("torn", "cannot be read"),
    ],
)
def test_unusable_answers_are_explained_and_the_rest_is_shown(make: Make, damage: str, reason: str) -> None:
    book = make()
    path = book.folder / "tested" / "candidate.npy"
    if damage == "gone":
        path.unlink()
    elif damage == "shape":
        np.save(path, np.zeros((3, 2)))
    elif damage == "nan":
        np.save(path, np.load(path) * np.nan)
    elif damage == "changed":
        np.save(path, np.load(path)[::-1])
    else:
        path.write_bytes(b"no array")
    if damage in ("shape", "nan"):  # as a faulty writer would leave them
        written_files.seal(path.parent)
    page = outline(book)
    assert reason in page.text
    assert {"Test metrics", "Promotion tests"} <= set(page.headings)
    assert "Mistakes" not in page.headings


def test_without_a_champion_nothing_is_compared(make: Make) -> None:
    page = outline(make(champion=False))
    assert "Rows that flipped" not in page.headings
    assert "Gain" not in page.text
    assert "Mistakes" in page.headings


def test_an_override_is_shown_first_with_its_reason_and_its_author(make: Make) -> None:
    book = make()
    book.append("overridden", bundle="b", reason="the <old> one is down", by="someone", at="2026-01-02T03:04:05+00:00")
    page = outline(book)
    assert page.headings[1] == "!Promoted by override"
    assert "the <old> one is down" in page.text
    assert "Promoted against its tests by someone, 2 January 2026, 03:04 UTC." in page.text


def test_the_promotion_record_is_shown_and_a_changed_one_is_reported(make: Make) -> None:
    book = make()
    bundle = str((book.fact("tested") or {})["bundle"])
    verdicts = (Verdict("metric-floor", "failed", "no"),)
    written = promotion_record.PromotionRecord(
        bundle, book.run, "r" * 64, (), "f" * 64, 24, verdicts, {}, None, False, "no", "someone", "2026-01-01", "0.1.0"
    )
    promotion_record.write(book.folder / "bundle", written)
    assert written.digest in outline(book).text
    path = book.folder / "bundle" / promotion_record.NAME
    path.write_text(path.read_text().replace("someone", "nobody"))
    assert "The promotion record cannot be relied on" in outline(book).text


def test_repeated_trials_are_shown_with_mean_and_spread(make: Make) -> None:
    trials = make_trials(3)
    repeats = [
        replace(trials[0], number=3 + n, repeats=0, seed=n, metrics={"macro_f1": value})
        for n, value in enumerate((0.7, 0.9))
    ]
    page = outline(make(trials=[*trials, *repeats]))
    row = re.search(r"0 selected learning_rate.*?0\.8000 0\.8000 0\.1414 0\.7000 to 0\.9000 2", page.text)
    assert row, page.text[page.text.index("trained again") :][:600]
    assert "3 repeats trial 0" in page.text


def test_a_run_writes_its_report_and_emits_its_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events: list[Event] = []
    path = tmp_path / "toy.toml"
    path.write_text(
        toys.RECIPE.replace("trials = 2", "trials = 1") + '[[promote]]\nuse = "metric-floor"\nfloor = 0.99\n'
    )
    with toys.install(tmp_path / "plugins"):
        outcome = ftkit.run(path, emit=events.append)
    (written,) = [event for event in events if isinstance(event, ReportWritten)]
    assert Path(written.path) == outcome.folder / report.NAME
    assert isinstance(events[-1], RunFinished)
    page = Outline(Path(written.path).read_text(encoding="utf-8"))
    assert page.headings[1] == "✗Not promoted"
    assert {"Mistakes", "Environment", "Time"} <= set(page.headings)
    assert list(plain.sentences(ReportWritten(written.path), Board())) == [f"report: {written.path}"]
    assert summary.as_json(outcome, None)["report"] == written.path
    summary.show(outcome, "roc_auc", None)
    assert re.search(rf"(?m)^report: +{re.escape(written.path)}$", capsys.readouterr().out)


def test_the_report_of_a_run_that_fails_after_its_trials_shows_the_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise StageError("the tests cannot run")

    monkeypatch.setattr("ftkit.stages.gate.judge", broken)
    events: list[Event] = []
    path = tmp_path / "toy.toml"
    path.write_text(toys.RECIPE.replace("trials = 2", "trials = 1"))
    with toys.install(tmp_path / "plugins"), pytest.raises(StageError):
        ftkit.run(path, emit=events.append)
    page = Outline(Path(next(each.path for each in events if isinstance(each, ReportWritten))).read_text())
    assert page.headings[1] == "✗The run failed"
    assert "The reason: the tests cannot run." in " ".join(page.text.split())
    assert "Trials" in page.headings


def test_a_report_that_fails_gives_a_warning_and_does_not_fail_the_run(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = make()
    events: list[Event] = []
    (book.folder / report.NAME).mkdir()
    report.announce(book, events.append)
    (notice,) = events
    assert isinstance(notice, Noticed)
    assert notice.warning
    assert f"`ftkit report {book.run}` writes it" in notice.text


def test_the_command_writes_the_latest_report_or_the_one_that_is_named(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older, newer = make("failed"), make()
    assert cli.main(["report"]) == 0
    assert capsys.readouterr().out == f"{newer.folder / report.NAME}\n"
    assert cli.main(["report", older.run, "--out", str(tmp_path), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["report"] == str(tmp_path / f"{older.run}.html")
    assert (printed["state"], printed["sentence"]) == ("failed", "the disk is full")
    assert printed["bytes"] == (tmp_path / f"{older.run}.html").stat().st_size
    assert cli.main(["report", "nonesuch"]) == 2
    assert "there is no run 'nonesuch'" in capsys.readouterr().err
    assert cli.main(["runs", newer.run]) == 0
    assert str(newer.folder / report.NAME) in capsys.readouterr().out


def test_without_a_run_the_command_explains_how_to_make_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report"]) == 2
    assert "no run has been made yet" in capsys.readouterr().err


def test_the_command_explains_why_a_report_cannot_be_written(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make("failed")
    (tmp_path / "file").write_text("")
    assert cli.main(["report", "--out", str(tmp_path / "file" / "report.html")]) == 4
    error = capsys.readouterr().err
    assert "the report cannot be written" in error
    assert "--out PATH" in error
