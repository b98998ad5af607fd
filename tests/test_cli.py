"""The command line: its output, its exit codes, and the modules that it does not load."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ftkit import cli, plugins
from ftkit.commands import Ending
from ftkit.runs import ledger
from ftkit.stages import known_endpoints
from ftkit.testing import toys
from ftkit.testing.bundles import BAD, GOOD, toy_bundle
from ftkit.testing.registries import make_lineage

RECIPE = """\
name = "toy"
seed = 7

[dataset]
use = "toy-reviews"

[backbone]
use = "toy-words"

[search]
metric = "roc_auc"
trials = 2
space.learning_rate = [1.0, 10.0]

[[promote]]
use = "metric-floor"
floor = 0.6
"""

WORSE = [
    "--set=promote.0.floor=1.0", "--set=search.trials=1", "--set=search.space={}",
    "--set=backbone.epochs=1", "--set=backbone.learning_rate=0.001",
]  # fmt: skip
"""Options that train a model which fails its promotion test."""

HEAVY = {"torch", "transformers", "mlflow", "optuna", "fastapi", "uvicorn", "httpx", "azure", "ray", "accelerate"}


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with a recipe, the toy plugin installed, and a home folder of its own."""
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FTKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FTKIT_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.toml").write_text(RECIPE)
    with toys.install(tmp_path / "site"):
        yield tmp_path


@pytest.fixture
def run(capsys):
    """Runs a command line in this process; returns its exit code, standard output and standard error."""

    def run_command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(arguments)
        return (code, *capsys.readouterr())

    return run_command


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A folder with a finished run, and the output of that run; for tests that only read."""
    folder = tmp_path_factory.mktemp("history")
    (folder / "toy.toml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch, toys.install(folder / "site"):
        patch.setenv("FTKIT_HOME", str(folder / "home"))
        patch.setenv("FTKIT_CACHE", str(folder / "cache"))
        result = ftkit("run", "toy.toml", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder, result.stdout


@pytest.fixture
def finished(history, monkeypatch):
    """The output of a finished run, whose home folder is the current one."""
    folder, out = history
    monkeypatch.setenv("FTKIT_HOME", str(folder / "home"))
    monkeypatch.setenv("FTKIT_CACHE", str(folder / "cache"))
    monkeypatch.chdir(folder)
    with toys.install(folder / "site"):
        yield out


def ftkit(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "ftkit.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


# ------------------------------------------------------------------------------------------ lightness


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["check", "toy.toml"], ["plugins"], ["options", "minilm"]]
)
def test_help_and_check_load_no_framework_and_no_sdk(workplace, arguments):
    code = f"import sys; from ftkit.cli import main; code = main({arguments!r}); print(code, *sys.modules, file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    exit_code, *modules = result.stderr.split()
    assert exit_code == "0", result.stdout
    assert {name.partition(".")[0] for name in modules} & HEAVY == set()


def test_help_loads_neither_rich_nor_numpy(workplace):
    code = "import sys; from ftkit.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert not {"rich", "numpy", "pydantic", "sklearn", "ftkit.contracts", "ftkit.plugins"} & set(result.stderr.split())


# ---------------------------------------------------------------------------------------------- usage


def test_help_names_every_command_and_the_exit_codes(run):
    code, out, _ = run("--help")
    assert code == 0
    for name in (
        "run",
        "check",
        "plan",
        "schema",
        "plugins",
        "options",
        "runs",
        "models",
        "predict",
        "endpoint",
        "completion",
    ):
        assert f"\n  {name} " in out
    assert "130 interrupted" in " ".join(out.split())


def test_a_misspelt_command_gets_a_suggestion(run):
    code, _, err = run("chekc")
    assert code == 2
    assert "Did you mean 'check'?" in err


def test_a_missing_argument_is_a_usage_error(run):
    assert run("plan")[0] == 2


def test_a_recipe_that_does_not_exist_is_a_usage_error(workplace, run):
    code, _, err = run("run", "nope.toml")
    assert code == 2
    assert "no such recipe" in err
    assert "toy.toml" in err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script_that_completes(run, shell):
    if shell == "bash" and not shutil.which("bash"):
        pytest.skip("click asks bash for its version, and there is none")
    code, out, _ = run("completion", shell)
    assert code == 0
    assert "_FTKIT_COMPLETE" in out


def test_names_of_components_are_completed(workplace):
    environment = {
        **os.environ,
        "_FTKIT_COMPLETE": "bash_complete",
        "COMP_WORDS": "ftkit options toy-",
        "COMP_CWORD": "2",
    }
    assert set(ftkit(env=environment).stdout.split()) == {"plain,toy-reviews", "plain,toy-words"}


# ---------------------------------------------------------------------------------- check, plan, schema


def test_check_names_every_mistake_with_its_place_and_how_to_repair_it(workplace, run):
    broken = RECIPE.replace("trials = 2", 'trials = "two"').replace('"toy-words"', '"toy-words"\nepoch = 3')
    Path("broken.toml").write_text(broken)
    code, out, err = run("check", "broken.toml", "toy.toml")
    assert code == 2
    assert "broken.toml:9: backbone.epoch: " in err
    assert "Did you mean 'epochs'?" in err
    assert "broken.toml:13: search.trials: " in err
    assert "2 mistakes in the recipe" in err
    assert out.startswith("toy.toml: no mistakes")


def test_check_in_json_holds_the_same_mistakes(workplace, run):
    Path("broken.toml").write_text(RECIPE.replace("trials = 2", "trials = 0"))
    code, out, err = run("check", "broken.toml", "toy.toml", "--json")
    assert (code, err) == (2, "")
    broken, fine = json.loads(out)
    assert [each["key"] for each in broken["error"]["problems"]] == ["search.trials"]
    assert fine == {"recipe": "toy.toml", "ok": True}


def test_check_applies_the_overrides_first(workplace, run):
    assert run("check", "toy.toml", "--set", "backbone.epochs=0")[0] == 2
    assert run("check", "toy.toml", "--set", "backbone.epochs=1")[0] == 0
    assert run("check", "toy.toml", "--on", "nowhere")[0] == 2


def test_plan_shows_what_would_be_done_and_does_nothing(workplace, run):
    code, out, _ = run("plan", "toy.toml")
    assert code == 0
    assert "2 trials of toy-words on local" in out
    assert "\ncost:" in out
    assert ledger.runs() == []
    _, out, _ = run("plan", "toy.toml", "--json")
    assert json.loads(out)["plan"]["search"]["trials"] == 2


def test_schema_has_the_installed_components(workplace, run):
    code, out, _ = run("schema")
    assert code == 0
    assert "toy-words" in out
    assert json.loads(out)["type"] == "object"


# ------------------------------------------------------------------------------------ plugins, options


def test_plugins_lists_components_with_their_plugin(workplace, run):
    code, out, _ = run("plugins")
    assert code == 0
    assert any(line.split()[:3] == ["backbone", "toy-words", "ftkit-toys"] for line in out.splitlines())
    listed = json.loads(run("plugins", "--json")[1])
    assert {"kind": "datasets", "name": "toy-reviews"}.items() <= next(
        each for each in listed["components"] if each["name"] == "toy-reviews"
    ).items()


def test_a_plugin_that_was_set_aside_is_listed_with_the_reason(workplace, run):
    broken = workplace / "site" / "ftkit_broken-1.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: ftkit-broken\nVersion: 1\n")
    (broken / "entry_points.txt").write_text("[ftkit]\nbroken = no_such_module_at_all\n")
    plugins.load.cache_clear()
    code, out, _ = run("plugins")
    assert code == 0
    assert "set aside: ftkit-broken 1: it cannot be imported: ModuleNotFoundError" in out
    assert "toy-words" in out


def test_options_are_those_of_the_fields(workplace, run):
    code, out, _ = run("options", "toy-words")
    assert code == 0
    assert "Step size of the gradient descent." in out
    (one,) = json.loads(run("options", "toy-words", "--json")[1])
    epochs = next(each for each in one["options"] if each["name"] == "epochs")
    assert (epochs["type"], epochs["default"], epochs["required"]) == ("whole number", 3, False)


def test_a_name_of_two_kinds_shows_both(run):
    code, out, _ = run("options", "local")
    assert code == 0
    assert {line.partition(",")[0] for line in out.splitlines() if line.startswith("local: ")} == {
        "local: deployer",
        "local: platform",
    }


def test_policies_and_sections_have_options_too(run):
    for name, option in (
        ("bandit", "slack_factor"),
        ("rollout", "canary"),
        ("search", "sampler"),
        ("search", "confirm"),
        ("confirm", "seeds"),
    ):
        code, out, _ = run("options", name)
        assert code == 0
        assert option in out


def test_a_misspelt_component_gets_a_suggestion(workplace, run):
    code, _, err = run("options", "toy-word")
    assert code == 2
    assert "Did you mean 'toy-words'?" in err


# ------------------------------------------------------------------------------------------------ run


def test_a_run_in_a_pipe_is_plain_lines_and_a_summary(finished):
    assert "\x1b" not in finished
    assert "search: trial 1 finished" in finished
    summary = finished[finished.index("PROMOTED: 1 test passed") :]
    assert "roc_auc" in summary
    assert "curl" not in summary


def test_runs_lists_all_runs_and_shows_one(finished, run):
    code, out, _ = run("runs")
    (line,) = out.splitlines()[1:]
    assert (code, "promoted" in line) == (0, True)
    (one,) = json.loads(run("runs", "--json")[1])
    code, out, _ = run("runs", one["run"])
    assert code == 0
    assert "metric-floor" in out
    assert "* the trial that was selected" in out
    detail = json.loads(run("runs", one["run"], "--json")[1])
    assert [trial["number"] for trial in detail["trials"]] == [0, 1]
    assert detail["verdicts"][0]["test"] == "metric-floor"


def test_a_confirmed_run_shows_its_repeats_and_their_results(workplace, run):
    command = ["run", "toy.toml", "--plain", "--set=search.confirm={top = 1, seeds = 2}", "--set=search.trials=1"]
    code, out, _ = run(*command)
    assert code == 0, out
    assert "search: trial 0 is trained again with 2 other seeds; the best mean wins" in out
    (one,) = json.loads(run("runs", "--json")[1])
    detail = json.loads(run("runs", one["run"], "--json")[1])
    assert [trial["repeats"] for trial in detail["trials"]] == [None, 0, 0]
    (spread,) = detail["spreads"]
    repeats = [trial["metrics"]["roc_auc"] for trial in detail["trials"][1:]]
    assert spread["mean"] == pytest.approx(sum(repeats) / 2)
    _, out, _ = run("runs", one["run"])
    assert f"as trial 0, seed {detail['trials'][1]['seed']}" in out
    heading, row = out.splitlines()[-2:]
    assert "standard deviation" in heading
    assert f"{spread['mean']:.4f}" in row
    (selected,) = ledger.find(one["run"]).facts("selected")
    assert selected["spreads"] == [spread]


def test_an_unknown_run_gets_the_latest_as_a_hint(finished, run):
    code, _, err = run("runs", "nope")
    assert code == 2
    assert ledger.runs()[0].run in err


def test_predict_classifies_the_texts_of_every_source_in_order(finished, run, monkeypatch, tmp_path):
    latest = ledger.runs()[0]
    texts = ["sturdy solid happy perfect", "broke useless refund cracked"]
    assert run("predict", latest.run, *texts)[:2] == (0, "good\nbad\n")
    assert run("predict", str(latest.folder / "bundle"), *texts)[:2] == (0, "good\nbad\n")
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    assert run("predict", latest.run, "--file", str(tmp_path / "texts.txt"))[:2] == (0, "good\nbad\n")
    with (tmp_path / "texts.txt").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert run("predict", latest.run, "-", texts[1])[:2] == (0, "good\nbad\nbad\n")
    _, out, _ = run("predict", latest.run, *texts, "--scores", "--json")
    answers = [json.loads(line) for line in out.splitlines()]
    assert [each["label"] for each in answers] == ["good", "bad"]
    assert all(abs(sum(each["scores"].values()) - 1) < 1e-6 for each in answers)


def test_predict_gives_one_answer_for_each_line_of_a_long_stream_and_for_empty_lines(finished, run, tmp_path):
    texts = ["sturdy solid happy", "", "broke useless refund"] * 250
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    code, out, _ = run("predict", ledger.runs()[0].run, "--file", str(tmp_path / "texts.txt"))
    answers = out.splitlines()
    assert (code, len(answers)) == (0, 750)
    assert answers[::3] == ["good"] * 250
    assert answers[2::3] == ["bad"] * 250


def test_predict_explains_what_does_not_exist(workplace, run):
    code, _, err = run("predict", "nothing", "a text")
    assert code == 2
    assert "is not a bundle's folder, a run or a registered model" in err
    (workplace / "site" / "empty").mkdir()
    assert run("predict", "site/empty", "a text")[0] == 4
    assert run("predict", "nothing", "--file", "nope.txt")[0] == 2


def test_a_run_in_json_is_events_and_an_outcome_and_exits_with_5_when_not_promoted(workplace, run):
    code, out, err = run("run", "toy.toml", "--json", *WORSE)
    lines = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (5, "")
    assert [lines[0]["event"], lines[-2]["event"], lines[-1]["event"]] == ["run-started", "run-finished", "outcome"]
    assert (lines[-1]["exit_code"], lines[-1]["promoted"], lines[-1]["curl"]) == (5, False, None)
    assert run("runs")[1].splitlines()[1].split()[3:5] == ["not", "promoted"]


def test_a_stage_that_fails_exits_with_4(workplace, run):
    code, out, err = run("run", "toy.toml", "--set", "backbone.fault=error", "--set", "search.trials=1", "--json")
    assert code == 4
    assert "error: " in err
    assert json.loads(out.splitlines()[-1])["exit_code"] == 4
    assert run("runs")[1].splitlines()[1].split()[3] == "failed"


def test_an_interruption_exits_with_130_reports_what_is_kept_and_the_same_command_goes_on(workplace, run):
    slow = ["run", "toy.toml", "--set", "backbone.delay=0.3", "--set", "search.trials=3"]
    process = subprocess.Popen(
        [sys.executable, "-m", "ftkit.cli", *slow], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + 60
        assert process.stdout is not None
        while "trial 0 finished" not in process.stdout.readline():
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Interrupted. 1 trial and everything else that finished are kept" in err
    assert "the same command goes on" in err
    assert run("runs")[1].splitlines()[1].split()[3] == "interrupted"
    code, out, _ = run(*slow)
    assert code == 0
    assert "goes on where it was interrupted" in out
    assert "trial 0 starts" not in out
    assert len(ledger.runs()) == 1


# --------------------------------------------------------------------------------- when things go wrong


def test_a_pipe_that_is_closed_early_is_no_error(finished):
    process = subprocess.Popen(
        [sys.executable, "-m", "ftkit.cli", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(60) == 0


def test_output_of_another_encoding_does_not_crash(finished):
    for encoding in ("ascii", "latin-1"):
        result = ftkit("runs", ledger.runs()[0].run, env={**os.environ, "PYTHONIOENCODING": encoding})
        assert result.returncode == 0, result.stderr
        assert "metric-floor" in result.stdout


def test_an_unexpected_error_is_reported_briefly_and_kept_in_a_file(workplace, run, monkeypatch):
    def break_off() -> None:
        raise ZeroDivisionError("one by nothing")

    monkeypatch.setattr(ledger, "runs", break_off)
    code, out, err = run("runs")
    assert (code, out) == (4, "")
    assert "ZeroDivisionError: one by nothing" in err
    assert "Traceback" not in err
    (written,) = (workplace / "home" / "failures").iterdir()
    assert "break_off" in written.read_text()
    monkeypatch.setenv("FTKIT_DEBUG", "1")
    assert "Traceback" in run("runs")[2]


def test_an_end_of_file_inside_a_command_is_no_interruption(workplace, run, monkeypatch):
    def break_off() -> None:
        raise EOFError("a pipe ended")

    monkeypatch.setattr(ledger, "runs", break_off)
    assert run("runs")[0] == 4


def test_nothing_is_kept_of_a_run_that_never_started(workplace):
    assert Ending().kept() == ""
    assert Ending(run="never").kept() == ""


# ------------------------------------------------------------------------------------------- endpoints


def test_endpoint_commands_without_any_endpoint(workplace, run):
    assert run("endpoint", "status")[:2] == (
        0,
        "No endpoint is running: `ftkit run RECIPE` with a [deploy] section makes one.\n",
    )
    assert json.loads(run("endpoint", "status", "--json")[1]) == []
    assert run("endpoint", "stop", "--all")[0] == 0
    code, _, err = run("endpoint", "invoke", "a text")
    assert (code, "no endpoint has been rolled out" in err) == (2, True)
    assert run("endpoint", "stop", "one", "--all")[0] == 2
    assert run("models")[0] == 0


def test_an_endpoint_is_rolled_out_called_shown_and_stopped(workplace, run):
    Path("toy.toml").write_text(
        RECIPE + '\n[rollout]\nbake = 0.0\n\n[deploy]\nuse = "local"\nendpoint = "reviews"\nthreads = 1\n'
    )
    try:
        code, out, err = run("run", "toy.toml")
        assert code == 0, err
        line = out.splitlines()[-1]
        assert line.startswith("curl ")
        if shutil.which("curl"):
            answer = subprocess.run(line, shell=True, capture_output=True, text=True, timeout=60, check=True)
            assert json.loads(answer.stdout)[0] in ("good", "bad")

        (status,) = json.loads(run("endpoint", "status", "--json")[1])
        assert (status["name"], [each["traffic"] for each in status["deployments"]]) == ("reviews", [100])
        (deployer,) = known_endpoints.known().values()
        (book,) = ledger.runs()
        deployer.create("left", book.folder / "bundle")
        live, delete = status["deployments"][0]["name"], ("endpoint", "delete", "--deployment")
        assert run(*delete, "left")[:2] == (0, "reviews/left is removed\n")
        assert "has no deployment 'left'" in run(*delete, "left")[2]
        assert f"{live} gets 100 % of the traffic" in run(*delete, live)[2]
        assert "reviews at http://127.0.0.1:" in run("endpoint", "status")[1]
        texts = ["sturdy solid happy perfect", "broke useless refund cracked"]
        assert json.loads(run("endpoint", "invoke", *texts)[1]) == ["good", "bad"]
        assert json.loads(run("endpoint", "invoke", "reviews", *texts)[1]) == ["good", "bad"]
        code, _, err = run("endpoint", "invoke", "revews", *texts)
        assert (code, "Did you mean 'reviews'?" in " ".join(err.split())) == (2, True), "a name is not sent as a text"
        assert json.loads(run("endpoint", "invoke", "reviews", "revews")[1])
        scored = json.loads(run("endpoint", "invoke", "reviews", texts[0], "--scores")[1])
        assert scored[0]["label"] == "good"
        assert json.loads(run("endpoint", "invoke", "--all", texts[1])[1]) == {
            "endpoint": "reviews",
            "answer": ["bad"],
        }
        assert run("endpoint", "logs", "reviews", "--lines", "5")[1].count("\n") == 5
        assert run("endpoint", "logs", "review")[0] == 2

        code, out, _ = run("run", "toy.toml", "--fresh", *WORSE)
        assert code == 5
        assert "NOT PROMOTED: metric-floor: " in out
        assert out.splitlines()[-1].startswith("curl ")

        assert run("endpoint", "stop", "reviews")[:2] == (0, "reviews is stopped\n")
        assert json.loads(run("endpoint", "status", "--json")[1]) == []
    finally:
        for deployer in known_endpoints.known().values():
            with contextlib.suppress(Exception):
                deployer.stop()


def test_registered_models_are_listed_and_can_be_used_by_name_and_version(workplace, run):
    address = f"sqlite:///{workplace / 'mlflow.db'}"
    section = f'[registry]\nuse = "mlflow"\nmodel = "shelf"\ntracking_uri = "{address}"\n'
    # The data set of this recipe is not installed any more; its models are still listed.
    ledger.begin("old", f'[dataset]\nuse = "gone"\n\n{section}')
    ledger.begin("older", section)
    registry = plugins.load().find("registries", "mlflow")(model="shelf", tracking_uri=address)
    code, _, err = run("predict", "shelf", GOOD)
    assert (code, "has no champion yet" in err) == (2, True)
    bundle = toy_bundle(workplace / "bundle")
    version = registry.register(bundle.folder, make_lineage(bundle))
    registry.promote(version.version)

    (listed,) = json.loads(run("models", "--json")[1])
    assert (listed["model"], listed["version"], listed["aliases"]) == ("shelf", "1", ["champion"])
    assert run("models")[1].splitlines()[1].startswith("shelf  1        champion  accuracy 0.8000")
    assert json.loads(run("models", "--registry", "other", "--json")[1]) == []
    assert run("predict", "shelf", GOOD, BAD)[:2] == (0, "good\nbad\n")
    assert run("predict", "shelf:1", BAD)[:2] == (0, "bad\n")
    code, _, err = run("predict", "shelf:9", BAD)
    assert (code, "There are versions 1." in err) == (2, True)

    # A damaged copy is fetched again.
    (weights,) = (workplace / "home" / "models" / "shelf" / "1").rglob("weights.npy")
    weights.write_bytes(b"")
    assert run("predict", "shelf", GOOD)[:2] == (0, "good\n")


def test_a_command_in_another_thread_works_without_signals(finished, capsys):
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(cli.main(["runs"])))
    thread.start()
    thread.join(30)
    assert codes == [0]


@pytest.mark.parametrize("path", ["a" * 300, "ü" * 150, "folder/" + "b" * 256])
@pytest.mark.parametrize(
    "command",
    ["check", "plan", "run", "report {} --out", "predict m --file", "predict m --in", "export r --out", "new recipe"],
)
def test_a_path_that_no_file_can_have_is_a_mistake_of_the_command(
    capsys: pytest.CaptureFixture[str], command: str, path: str
) -> None:
    assert cli.main([*command.format("toy").split(), path]) == 2
    error = capsys.readouterr().err
    assert "this is no path" in error or "no such" in error.lower()
    assert "unexpected" not in error
