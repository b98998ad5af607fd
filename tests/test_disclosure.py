"""Values, errors and output streams without secrets."""

from __future__ import annotations

import io
import logging
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ftkit.disclosure import RedactedStream, redact_output, without_secrets
from ftkit.errors import Problem, RecipeError, StageError
from ftkit.testing.observers import sample_run

SECRET = "https://store.example.org/data?sig=Zm9vYmFyYmF6cXV4MTIz"
SHOWN = "https://store.example.org/data?sig=***"


@dataclass(frozen=True)
class Note:
    text: str
    numbers: dict[str, float] = field(default_factory=dict)


def test_texts_are_redacted_wherever_they_are_in_a_value() -> None:
    value = {"list": [SECRET, 1, None], "tuple": (SECRET, 0.5), "note": Note(SECRET, {"accuracy": 0.5})}
    assert without_secrets(value) == {
        "list": [SHOWN, 1, None],
        "tuple": (SHOWN, 0.5),
        "note": Note(SHOWN, {"accuracy": 0.5}),
    }


def test_the_value_of_a_secret_key_is_hidden_whatever_it_looks_like() -> None:
    assert without_secrets({"password": "correct horse", "api_token": "x", "name": "reviews", "secret": ""}) == {
        "password": "***",
        "api_token": "***",
        "name": "reviews",
        "secret": "",
    }


def test_keys_and_numbers_stay_as_they_are() -> None:
    assert without_secrets({"password": 3, SECRET: 4}) == {"password": 3, SECRET: 4}


def test_a_value_without_secrets_is_returned_itself() -> None:
    value = {"texts": ["one", ("two", Note("three"))]}
    assert without_secrets(value) is value
    assert all(without_secrets(event) is event for event in sample_run())


TOKEN = "ghp_Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MEFCQ0RF"
"""A secret that is recognised whole and not in part."""


def refused_verdict(text: str) -> str:
    from ftkit.stages import gate

    with pytest.raises(TypeError) as caught:
        gate._checked(text)
    return str(caught.value)


def failed_build(text: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    from ftkit.bundle import requirements

    (folder / "pyproject.toml").write_text("")
    failed = subprocess.CompletedProcess([], 1, stdout="", stderr=text)
    monkeypatch.setattr(requirements.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(requirements.PluginError) as caught:
        requirements.build([requirements.Source("probe", "1", folder)], folder / "wheels")
    return caught.value.what


def smoke_test_problem(text: str) -> str:
    from ftkit.stages import rollout_checks

    return rollout_checks.wrong_answer(text, {"data": []}, ())


def checkpoint_error(text: str) -> str:
    from ftkit.encoders import checkpoint

    return checkpoint.first_line(RuntimeError(text))


def cause_of_a_failed_trial(text: str) -> str:
    failures = pytest.importorskip("ftkit.searching.failures")
    return str(failures.cause(1, text))


def mlflow_tag(text: str) -> str:
    tracking = pytest.importorskip("ftkit_mlflow.tracking")
    return str(tracking._shortened(text))


def mlflow_parameter(text: str) -> str:
    tracking = pytest.importorskip("ftkit_mlflow.tracking")
    return str(tracking._text(text))


def telemetry_attribute(text: str) -> str:
    pipeline = pytest.importorskip("ftkit_appinsights.pipeline")
    return str(pipeline.plain({"text": text})["text"])


@pytest.mark.parametrize(
    ("shown", "limit"),
    [
        (refused_verdict, 200),
        (smoke_test_problem, 300),
        (checkpoint_error, 200),
        (cause_of_a_failed_trial, 300),
        (mlflow_tag, 5000),
        (mlflow_parameter, 6000),
        (telemetry_attribute, 8192),
    ],
)
def test_a_text_is_redacted_before_its_beginning_is_shown(shown: Callable[[str], str], limit: int) -> None:
    text = f"{'word ' * limit}"[: limit - 12] + f" {TOKEN} and {'more ' * limit}"
    assert "word" in shown(text)
    assert TOKEN[:8] not in shown(text)


def test_a_text_is_redacted_before_its_end_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = f"error {TOKEN} {'more ' * 400}"[: 6 + len(TOKEN) // 2 + 2000]
    assert TOKEN[-10:] not in failed_build(text, monkeypatch, tmp_path)


def test_an_error_has_no_secrets_also_after_pickling() -> None:
    error = StageError(f"GET {SECRET} failed", where=SECRET, hint=f"Open {SECRET}.")
    for each in (error, pickle.loads(pickle.dumps(error))):
        assert (each.what, each.where, each.hint) == (f"GET {SHOWN} failed", SHOWN, f"Open {SHOWN}.")
        assert "Zm9v" not in repr(each)
    assert "Zm9v" not in str(RecipeError([Problem("toy.toml:3", "dataset.source", f"not {SECRET}", f"Open {SECRET}.")]))


def test_a_stream_redacts_whole_lines_however_they_are_written() -> None:
    target = io.StringIO()
    stream = RedactedStream(target)
    for part in ("GET ", SECRET[:40], SECRET[40:], "\n", "progress 50 %\r", "unfinished"):
        stream.write(part)
    assert target.getvalue() == f"GET {SHOWN}\nprogress 50 %\r"
    stream.flush()
    assert target.getvalue().endswith("\runfinished")


def test_the_output_and_the_logs_of_a_process_are_redacted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("ftkit.disclosure.test")
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    handler = logging.StreamHandler(sys.stderr)  # from before, as a service's own server has them
    logger.addHandler(handler)
    try:
        redact_output()
        redact_output()
        assert not isinstance(sys.stdout._stream, RedactedStream)  # type: ignore[attr-defined]  # wrapped once
        print(SECRET)
        try:
            raise RuntimeError(SECRET)
        except RuntimeError:
            logger.exception("a request for %s failed", SECRET)
    finally:
        logger.removeHandler(handler)
    output, errors = capsys.readouterr()
    assert output == f"{SHOWN}\n"
    assert errors.count(SHOWN) == 2
    assert "Zm9v" not in errors
