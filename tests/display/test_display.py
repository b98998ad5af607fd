"""How a run is shown: on terminals of any width, in pipes, as JSON, and when something fails."""

import dataclasses
import io
import json
import math
import re
import shlex
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from ftkit import display, events, formatting
from ftkit.contracts import Deployment, Endpoint, Outcome, Spread, Trial, Verdict, Version
from ftkit.display import board, failures, live, plain, summary, terminal
from ftkit.errors import Problem, RecipeError, UsageError
from ftkit.testing.observers import sample_run

BEST = Trial(3, {"learning_rate": 5e-5}, 7, "finished", ({"epoch": 1.0},), {"roc_auc": 0.97}, 1, 61.0)
ENDPOINT = Endpoint("reviews", "http://127.0.0.1:8000/score", "a'key", (Deployment("v4", 100, "ready"),))


def outcome(folder: Path, promoted: bool = True, **changes: object) -> Outcome:
    verdicts = (
        Verdict("metric-floor", "passed", "ROC AUC 0.97 meets the floor of 0.90"),
        Verdict("beats-champion", "passed" if promoted else "failed", "ROC AUC 0.97 against 0.98"),
    )
    values: dict = {
        "run": "reviews-1", "folder": folder, "promoted": promoted, "best": BEST, "trials": [BEST] * 4,
        "verdicts": verdicts, "metrics": {"accuracy": 0.9, "roc_auc": 0.96}, "bundle": folder / "bundle",
    }  # fmt: skip
    return Outcome(**{**values, **changes})


def plain_lines(run: list[events.Event]) -> list[str]:
    stream = io.StringIO()
    with display.printer(plain=True, stream=stream) as emit:
        for event in run:
            emit(event)
    return stream.getvalue().splitlines()


class Narrow(io.TextIOWrapper):
    """A stream with a limited encoding."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    def text(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]


# ------------------------------------------------------------------------------------------- plain


def test_plain_lines_show_the_whole_run_without_any_control_character():
    output = "\n".join(plain_lines(sample_run()))
    assert "\x1b" not in output
    for part in (
        "110 rows read from reviews.csv",
        "10 rows dropped: empty text 4, duplicate 6",
        "trial 0, epoch 2: macro_f1 0.8400",
        "trial 1 failed after 3.0 s: out of memory",
        "trial 0 is trained again with 1 other seed; the best mean wins",
        "trial 2 starts: trial 0 with seed 4711",
        "trial 0 reached macro_f1 0.8400 in the search, and over 1 other seed a mean of 0.8100",
        "trial 0 is the best of the models with the values of trial 0: macro_f1 0.8400 at epoch 2, learning_rate 3e-05",
        "metric-floor: passed: macro F1 0.8300 meets the floor of 0.8000",
        "reviews version 3 (challenger)",
        "warning: The endpoint answers on this machine only.",
        "v3 became ready: after 2.1 s",
        "traffic of reviews: v3 100 %",
    ):
        assert part in output


def test_splits_are_shown_in_the_order_of_their_use_though_stored_reports_sort_them():
    report = next(event.report for event in sample_run() if isinstance(event, events.DataLoaded))
    mixed = type(report)(**{**vars(report), "counts": dict(sorted(report.counts.items()))})
    lines = [line for line in plain.data(mixed) if " rows: " in line]
    assert [line.split()[0] for line in lines] == ["train", "valid", "test"]


def test_progress_is_shown_every_few_seconds_and_at_its_end():
    now = 0.0
    stream = io.StringIO()
    lines = plain.Lines(stream, clock=lambda: now)
    for second in range(31):
        now = float(second)
        lines(events.Progressed("reading", second, 30))
    printed = stream.getvalue().splitlines()
    assert len(printed) == 4
    assert printed[-1].endswith("30 rows of 30 rows, 100 %")


def test_work_that_is_done_at_once_gets_no_line():
    stream = io.StringIO()
    lines = plain.Lines(stream)
    lines(events.Progressed("reading", 0, 10))
    lines(events.Progressed("reading", 10, 10))
    assert stream.getvalue() == ""


def test_an_interrupted_stage_is_not_called_a_failure():
    (line,) = plain_lines([events.StageFailed("search", 3.0, "KeyboardInterrupt")])
    assert line == "search: interrupted after 3.0 s"


# -------------------------------------------------------------------------------------------- live


def rendered(part: RenderableType, width: int) -> str:
    """A part of the live view as text."""
    console = Console(file=io.StringIO(), record=True, width=width)
    console.print(part)
    return console.export_text()


def drawn(run: list[events.Event], width: int) -> str:
    """What stays on the screen, without the moving part."""
    console = Console(file=io.StringIO(), record=True, width=width, highlight=False, markup=False)
    screen = live.Screen(io.StringIO(), console)
    for event in run:
        screen(event)
    screen.close()
    return console.export_text()


@pytest.mark.parametrize("width", [60, 72, 80, 100, 120, 200])
def test_the_live_view_keeps_to_the_width_of_the_window(width):
    lasting = drawn(sample_run(), width)
    assert max(map(len, lasting.splitlines())) <= width
    assert "metric-floor" in lasting
    assert "fingerprint 0f0f0f0f0f0f0f0f" in lasting
    current = board.Board()
    console = Console(file=io.StringIO(), record=True, width=width)
    for event in sample_run():
        current.update(event)
        console.print(live.now(current, width, 24))
    moving = console.export_text()
    assert max(map(len, moving.splitlines())) <= width
    assert "2 of 2 done" in moving
    assert "3 of 3 done" in moving, "with the repeat"


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_long_value_is_cut_before_any_number_is(width):
    current = board.Board()
    current.update(events.SearchStarted(2, 0, "roc_auc", 2))
    path = "/home/somebody/.cache/huggingface/hub/models--bert-large-cased/snapshots/0a1b2c3d4e5f"
    current.update(
        events.TrialStarted(0, {"checkpoint": path, "learning_rate": 3.5e-5, "tags": ["a"] * 50}, 7, 1, 1, "")
    )
    current.update(events.TrialReported(0, {"epoch": 1, "roc_auc": 0.98765}))
    lines = rendered(live.trials(current, width, 10), width).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) == 2
    assert "0.9877" in lines[1]
    assert "running" in lines[1]


def test_a_repeat_shows_which_trial_it_repeats():
    current = board.Board()
    for event in sample_run()[:22]:
        current.update(event)
    heading, *lines = rendered(live.trials(current, 98, 10), 100).splitlines()
    assert "repeats" in heading
    end = heading.index("repeats") + len("repeats")
    assert [line[:end].split()[0] for line in lines] == ["0", "1", "2"]
    assert [line[end - 1] for line in lines] == [" ", " ", "0"]


def test_a_trial_on_another_machine_shows_where():
    current = board.Board()
    started = events.TrialStarted(0, {"learning_rate": 1e-5}, 7, 1, 1, "", node="worker-2")
    current.update(started)
    heading, line = rendered(live.trials(current, 98, 10), 100).splitlines()
    assert line.index("worker-2") == heading.index("node")
    assert list(plain.sentences(started, current)) == ["search: trial 0 starts on worker-2: learning_rate 1e-05"]
    current.update(events.TrialStarted(0, {"learning_rate": 1e-5}, 7, 1, 1, ""))
    assert "node" not in rendered(live.trials(current, 98, 10), 100)


def test_the_results_of_repeats_mention_those_that_failed():
    several = Spread(4, {}, searched=0.95, mean=0.9, deviation=0.0123, low=0.89, high=0.91, finished=2, failed=1)
    assert plain.spread(several, "accuracy") == (
        "trial 4 reached accuracy 0.9500 in the search, and over 2 other seeds a mean of 0.9000 "
        "(standard deviation 0.0123, 0.8900 to 0.9100); 1 failed"
    )
    none = Spread(4, {}, searched=0.95, mean=None, deviation=None, low=None, high=None, finished=0, failed=3)
    assert plain.spread(none, "accuracy").endswith("none of its 3 repeats has a value")


def test_the_summary_shows_the_mean_of_the_winner_over_other_seeds(tmp_path):
    repeats = [
        Trial(4 + seed, BEST.values, 50 + seed, "finished", metrics={"roc_auc": 0.9}, repeats=3) for seed in (0, 1)
    ]
    stream = io.StringIO()
    summary.show(outcome(tmp_path, trials=[BEST, *repeats]), "roc_auc", None, stream)
    assert "over 2 other seeds a mean of 0.9000 (standard deviation 0.0000" in stream.getvalue()
    stream = io.StringIO()
    summary.show(outcome(tmp_path, best=repeats[1], trials=[BEST, *repeats]), "roc_auc", None, stream)
    assert "trial 5 of 3, which repeats trial 3" not in stream.getvalue()
    assert "trial 5, which repeats trial 3" in stream.getvalue()
    stream = io.StringIO()
    summary.show(outcome(tmp_path), "roc_auc", None, stream)
    assert "other seeds" not in stream.getvalue()


def test_a_table_too_long_for_the_window_keeps_what_runs_and_the_leader():
    current = board.Board()
    current.update(events.SearchStarted(50, 0, "roc_auc", 2))
    for number in range(50):
        current.update(events.TrialStarted(number, {"learning_rate": 1e-5}, 7, 1, 1, ""))
        if number < 48:
            value = 0.99 if number == 5 else 0.5
            trial = Trial(number, {"learning_rate": 1e-5}, 7, "finished", ({"epoch": 1.0},), {"roc_auc": value}, 1, 1.0)
            current.update(events.TrialFinished(trial))
    table = rendered(live.trials(current, 78, 10), 80)
    assert [int(line.split()[0]) for line in table.splitlines()[1:-1]] == [5, 42, 43, 44, 45, 46, 47, 48, 49]
    assert "and 41 more trials" in table


def test_the_last_line_of_the_moving_part_leaves_room_for_an_echo():
    current = board.Board()
    for event in sample_run()[:11]:
        current.update(event)
    assert len(rendered(live.now(current, 40, 24), 40).splitlines()[-1]) <= 36


def test_many_classes_are_summed_up():
    report = next(event.report for event in sample_run() if isinstance(event, events.DataLoaded))
    many = {split: {f"class {number}": 2 for number in range(150)} for split in ("train", "valid", "test")}
    table = rendered(live.data(type(report)(**{**vars(report), "counts": many})), 80)
    assert "138 more classes" in table
    assert "300" in table


@pytest.mark.parametrize("width", [40, 80])
def test_a_data_report_with_all_its_parts_fits_a_window(width):
    report = next(event.report for event in sample_run() if isinstance(event, events.DataLoaded))
    full = dataclasses.replace(
        report,
        counts={split: {f"class {number:03}": number for number in range(151)} for split in report.counts},
        notes=("180 rows in 60 groups of near copies were kept together, each group in one split.",),
        warnings=(
            "minilm reads 100 % of the tokens as unknown: its vocabulary lacks 100 % of the Han letters.",
            "w" * 90,
        ),
        files={f"/a/long/path/{'folder/' * 20}{part}.csv": {"format": "csv", "encoding": "utf-8"} for part in "ab"},
        tokens={"median_tokens": 1234, "max_length": 64, "cut": 0.5, "lost": 0.25, "unknown": 1.0, "same": 1.0},
    )
    lines = rendered(live.data(full), width).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= {80: 40, 40: 60}[width]
    text = " ".join(" ".join(lines).split())
    for part in ("139 more classes", "a.csv, b.csv were read as csv", "the first 64 are read", "! minilm reads 100 %"):
        assert part in text
    assert [line for line in plain.data(full) if line.startswith("warning: minilm reads")]


def test_events_from_many_threads_and_the_refreshing_one_do_not_wait_for_each_other():
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True)
    screen = live.Screen(io.StringIO(), console)
    for event in sample_run()[:7]:
        screen(event)
    assert screen._live is not None

    def emit(first: int) -> None:
        for number in range(first, first + 40):
            screen(events.TrialStarted(number, {"learning_rate": 1e-5}, 7, 1, 1, ""))
            screen(events.Noticed(f"notice {number}"))

    def refresh() -> None:
        for _ in range(60):
            if (view := screen._live) is not None:
                view.refresh()

    threads = [threading.Thread(target=emit, args=(each * 100,), daemon=True) for each in range(3)]
    threads += [threading.Thread(target=refresh, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    assert not any(thread.is_alive() for thread in threads)
    screen.close()
    assert len(screen.board.rows) == 120


def test_colour_is_left_out_when_the_user_asks_for_none(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80)
    screen = live.Screen(stream, console)
    for event in sample_run():
        screen(event)
    screen.close()
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", stream.getvalue())


# ------------------------------------------------------------------------------------------- board


def test_a_trial_that_was_stopped_early_is_never_the_leader():
    current = board.Board()
    current.update(events.SearchStarted(2, 0, "log_loss", 1))
    for number, state, value in ((0, "finished", 0.5), (1, "stopped", 0.1)):
        current.update(
            events.TrialFinished(Trial(number, {}, 7, state, ({"epoch": 1.0},), {"log_loss": value}, 1, 1.0))
        )
    assert current.leader is not None
    assert current.leader.number == 0


def test_the_better_value_of_a_loss_is_the_lower_one():
    current = board.Board()
    current.update(events.SearchStarted(1, 0, "log_loss", 1))
    current.update(events.TrialStarted(0, {}, 7, 1, 1, ""))
    for epoch, value in ((1, 0.5), (2, 0.3), (3, math.nan), (4, 0.4)):
        current.update(events.TrialReported(0, {"epoch": epoch, "log_loss": value}))
    assert (current.rows[0].best, current.rows[0].latest, current.rows[0].epoch) == (0.3, 0.4, 4)


def test_trials_from_before_an_interruption_are_counted_once_whether_or_not_their_end_is_emitted_again():
    trial = Trial(0, {}, 7, "finished", ({"epoch": 1.0},), {"roc_auc": 0.9}, 1, 1.0)
    for earlier in ([], [events.TrialFinished(trial)]):
        current = board.Board()
        for event in (events.SearchStarted(3, 1, "roc_auc", 1), *earlier, events.TrialStarted(1, {}, 7, 1, 1, "")):
            current.update(event)
        current.update(events.TrialFinished(Trial(1, {}, 7, "finished", ({"epoch": 1.0},), {"roc_auc": 0.8}, 1, 1.0)))
        assert current.ended == 2


# ----------------------------------------------------------------------------------------- printer


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_terminal_of_any_encoding_gets_every_event(encoding):
    stream = Narrow(encoding)
    with display.printer(plain=True, stream=stream) as emit:
        for event in sample_run():
            emit(event)
        emit(events.Noticed("ein Satz – mit “Zeichen”, 漢字 und \udcff …"))
    output = stream.text()
    assert "metric-floor" in output
    assert "ein Satz" in output
    assert output.count("\n") > 20


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_the_live_view_works_in_any_encoding(encoding, monkeypatch):
    stream = Narrow(encoding)
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with display.printer(stream=stream) as emit:
        for event in sample_run():
            emit(event)
    output = stream.text()
    assert "metric-floor" in output
    assert "\x1b[" in output


def test_a_printer_whose_reader_is_gone_stays_silent():
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with display.printer(plain=True, stream=Gone()) as emit:
        for event in sample_run():
            emit(event)


def test_a_display_that_fails_is_replaced_by_plain_lines():
    class Broken:
        def __call__(self, event: events.Event) -> None:
            raise LookupError("no such colour")

        def close(self) -> None:
            raise LookupError("nor this")

    stream = io.StringIO()
    with display.Printer(Broken(), stream) as emit:
        for event in sample_run():
            emit(event)
    assert "metric-floor" in stream.getvalue()


def test_an_unknown_event_is_skipped():
    class Invented(events.Event):
        pass

    assert plain_lines([Invented()]) == []
    assert "search" in drawn([Invented(), *sample_run()], 80)


def test_json_has_one_line_for_each_event_and_no_nan():
    stream = io.StringIO()
    with display.printer(stream=stream, json=True) as emit:
        for event in [*sample_run(), events.TrialReported(0, {"epoch": 1.0, "roc_auc": math.nan})]:
            emit(event)
    values = [json.loads(line, parse_constant=pytest.fail) for line in stream.getvalue().splitlines()]
    assert len(values) == len(sample_run()) + 1
    assert values[0]["event"] == "run-started"
    assert values[-1]["numbers"] == {"epoch": 1.0, "roc_auc": None}


# ----------------------------------------------------------------------------------------- summary


def shown(one: Outcome, endpoint: Endpoint | None) -> list[str]:
    stream = io.StringIO()
    summary.show(one, "roc_auc", endpoint, stream)
    return stream.getvalue().strip().splitlines()


def test_the_summary_begins_with_the_verdict_and_ends_with_the_curl_line(tmp_path):
    lines = shown(outcome(tmp_path, version=Version("reviews", "4", ("champion",))), ENDPOINT)
    assert lines[0] == "PROMOTED: 2 tests passed"
    assert lines[-1].startswith("curl ")
    assert "reviews version 4 (champion)" in "\n".join(lines)


def test_a_model_that_was_not_promoted_shows_why_and_which_endpoint_is_live(tmp_path):
    lines = shown(outcome(tmp_path, promoted=False), ENDPOINT)
    assert lines[0] == "NOT PROMOTED: beats-champion: ROC AUC 0.97 against 0.98"
    assert lines[-1].startswith("curl ")


def test_the_summary_shows_tests_that_did_not_pass_in_full_and_the_others_by_name(tmp_path):
    verdicts = (
        Verdict("leakage", "failed", "12 rows of 100 are in both"),
        Verdict("reload", "error", "it broke off"),
        Verdict("budget", "passed", "fast enough"),
        Verdict("slices", "passed", "no part is weak"),
        Verdict("agreement", "not applicable", "there is no champion yet"),
    )
    lines = shown(outcome(tmp_path, promoted=False, verdicts=verdicts), None)
    assert lines[0] == "NOT PROMOTED: leakage failed; reload gave no verdict"
    rows = [line.split(None, 1) for line in lines]
    assert ["failed:", "leakage: 12 rows of 100 are in both"] in rows
    assert ["error:", "reload: it broke off"] in rows
    assert ["passed:", "budget, slices"] in rows
    assert "not judged: agreement" in lines
    assert "fast enough" not in "".join(lines)


def test_there_is_no_curl_line_without_a_live_deployment(tmp_path):
    for endpoint in (None, Endpoint("reviews", "http://x/score"), Endpoint("reviews", "")):
        assert not any(line.startswith("curl") for line in shown(outcome(tmp_path), endpoint))


def test_the_curl_line_is_quoted_for_the_shell(tmp_path):
    text = 'It\'s "great" – $HOME `id` \\ !'
    command = shlex.split(summary.curl(ENDPOINT, text))
    assert "\n" not in summary.curl(ENDPOINT, text + "\n")
    assert command[0] == "curl"
    assert "Authorization: Bearer a'key" in command
    assert json.loads(command[-1]) == {"data": [{"text": text}]}


def test_the_sample_is_a_short_text_of_the_bundle(tmp_path):
    long = "word " * 100
    (tmp_path / "sample_request.json").write_text(json.dumps({"data": [{"text": long}, {"text": long + "more"}]}))
    assert summary.sample(tmp_path).startswith("word word")
    assert len(summary.sample(tmp_path)) <= 80
    assert "…" not in summary.sample(tmp_path)
    assert summary.sample(tmp_path / "nowhere") == summary.SAMPLE


# ------------------------------------------------------------------------------- errors and words


def test_an_error_shows_what_where_and_how_to_repair_it():
    stream = io.StringIO()
    failures.show(UsageError("there is no such recipe", "a.toml", "Give the path of a TOML file."), stream)
    assert stream.getvalue().splitlines() == [
        "error: there is no such recipe",
        "  where: a.toml",
        "  hint:  Give the path of a TOML file.",
    ]


def test_every_mistake_of_a_recipe_begins_its_line_with_the_place():
    stream = io.StringIO()
    problems = [
        Problem("a.toml:3", "backbone.epoch", "unknown key", "Did you mean 'epochs'?"),
        Problem("a.toml:9", "", "no TOML"),
    ]
    failures.show(RecipeError(problems), stream)
    assert stream.getvalue().splitlines() == [
        "a.toml:3: backbone.epoch: unknown key",
        "  Did you mean 'epochs'?",
        "a.toml:9: no TOML",
        "2 mistakes in the recipe",
    ]


def test_a_table_in_a_pipe_is_never_cut():
    stream = io.StringIO()
    terminal.table(("name", "what"), [("a", "x" * 500), ("long name", "two\nlines")], stream)
    assert stream.getvalue().splitlines() == ["name       what", "a          " + "x" * 500, "long name  two lines"]


def test_labelled_texts_are_wrapped_on_a_terminal_and_paths_stay_whole(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    rows = [("test", "accuracy 0.9500, macro_f1 0.9401, roc_auc 0.9907"), ("folder", "/home/" + "x" * 60)]
    stream = Narrow("utf-8")
    terminal.labelled(rows, stream)
    assert stream.text().splitlines() == [f"test:   {rows[0][1]}", f"folder: {rows[1][1]}"]
    stream = Narrow("utf-8")
    monkeypatch.setattr(stream, "isatty", lambda: True)
    terminal.labelled(rows, stream)
    printed = re.sub(r"\x1b\[[0-9;]*m", "", stream.text())
    assert printed.splitlines() == [
        "test:   accuracy 0.9500, macro_f1",
        "        0.9401, roc_auc 0.9907",
        f"folder: {rows[1][1]}",
    ]


def test_a_minus_sign_is_a_hyphen_where_the_encoding_lacks_it():
    stream = terminal.forgiving(Narrow("ascii"))
    terminal.write(formatting.signed(-0.25), stream)
    assert stream.text() == "-0.2500\n"
