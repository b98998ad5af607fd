"""Requests are read with every mistake named; answers carry label names."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from ftkit.contracts import AnswerRule, Task
from ftkit.serving.limits import Limits, ServerOptions
from ftkit.serving.schema import Refusal, Scored, ScoreRequest, answer, parse

LIMITS = Limits(rows=5, size=2000)


def refusal(body: bytes) -> Refusal:
    with pytest.raises(Refusal) as caught:
        parse(body, LIMITS)
    return caught.value


def test_rows_may_carry_more_than_their_text() -> None:
    request = parse(b'{"data": [{"text": "a", "stars": 5}, {"text": ""}], "scores": true}', LIMITS)
    assert [row.text for row in request.data] == ["a", ""]
    assert request.scores


def test_no_rows_are_a_request() -> None:
    assert parse(b'{"data": []}', LIMITS).data == []


@pytest.mark.parametrize(
    ("body", "status", "where", "message"),
    [
        (b'{"data": [', 400, "body", "not JSON"),
        (b"", 400, "body", "not JSON"),
        (b"\xff\xfe\xfa", 400, "body", "not JSON"),
        (b"[" * 1999, 400, "body", "nested too deeply"),
        (b'{"data": [{"text": "' + b"9" * 3000 + b'"}]}', 413, "body", "larger than 2000 bytes"),
        (json.dumps({"data": [{"text": "a"}] * 6}).encode(), 413, "data", "6 rows in one request; this server takes 5"),
        (b"[]", 422, "the body", "the body is a list; it must be an object"),
        (b"null", 422, "the body", "the body is null; it must be an object"),
        (b"{}", 422, "data", "data is missing"),
        (b'{"data": "a"}', 422, "data", "data is a string; it must be a list"),
        (b'{"data": ["a"]}', 422, "data[0]", "data[0] is a string; it must be an object"),
        (b'{"data": [{"text": "a"}, {"txt": "b"}]}', 422, "data[1].text", "data[1].text is missing"),
        (b'{"data": [{"text": null}]}', 422, "data[0].text", "data[0].text is null; it must be a string"),
        (b'{"data": [{"text": true}]}', 422, "data[0].text", "data[0].text is a boolean"),
        (b'{"data": [{"text": 1}, {}, {}]}', 422, "data[0].text", "is a number; it must be a string (2 more like it)"),
        (b'{"data": [], "scores": 1}', 422, "scores", "scores is a number; it must be true or false"),
        (b'{"data": [], "score": true}', 422, "score", "score is not a key of a request"),
        (b'{"data": [], "data": [{"text": "a"}]}', 400, "body", "the key 'data' is there twice"),
        (b'{"data": [{"text": "a", "text": "b"}]}', 400, "body", "the key 'text' is there twice"),
        (b'{"data": [], "' + b"x" * 1900 + b'": 1}', 422, "x" * 199 + "…", "is not a key of a request"),
    ],
)
def test_a_mistake_is_named_with_its_place(body: bytes, status: int, where: str, message: str) -> None:
    refused = refusal(body)
    assert (refused.status, refused.where) == (status, where)
    assert message in refused.what
    assert refused.hint
    assert set(refused.body) == {"error", "where", "hint"}


def test_the_hint_for_a_misspelt_key_names_the_right_one() -> None:
    assert "'scores'" in refusal(b'{"data": [], "score": true}').hint


@pytest.mark.parametrize(
    ("spelt", "read"),
    [
        (rb"\ud83d", "\ufffd"),
        (rb"a\udc00b", "a\ufffdb"),
        (rb"\ud83d\ude00", "\U0001f600"),
        (rb"\u0000", "\x00"),
    ],
)
def test_texts_are_made_whole_where_json_spells_half_a_character(spelt: bytes, read: str) -> None:
    assert parse(b'{"data": [{"text": "%s"}]}' % spelt, LIMITS).data[0].text == read


def test_answers_are_label_names_or_the_scores_of_all_classes() -> None:
    probabilities = np.array([[0.25, 0.75], [0.5, 0.5]])
    assert answer(probabilities, ("no", "yes")) == ["yes", "no"]
    scored: list[Any] = answer(probabilities, ("no", "yes"), scores=True)
    assert scored[0] == {"label": "yes", "score": 0.75, "scores": {"no": 0.25, "yes": 0.75}}
    assert json.loads(json.dumps(scored)) == scored
    assert answer(np.empty((0, 2)), ("no", "yes")) == answer(np.empty((0, 2)), ("no", "yes"), scores=True) == []


def test_the_example_of_the_schema_is_a_request() -> None:
    example = ScoreRequest.model_json_schema()["examples"][0]
    assert parse(json.dumps(example).encode(), LIMITS).data


def test_limits_must_let_something_through() -> None:
    with pytest.raises(ValueError, match="batch"):
        Limits(batch=0)


def test_recipe_options_and_limits_have_the_same_defaults_and_checks() -> None:
    assert ServerOptions().limits == Limits()
    assert ServerOptions(max_rows=3, max_batch=2, max_waiting=9).limits == Limits(rows=3, batch=2, waiting=9)
    with pytest.raises(ValueError, match="max_waiting must be at least 1"):
        ServerOptions(max_waiting=0)


def test_a_multi_label_model_answers_a_list_of_labels_a_text() -> None:
    probabilities = np.array([[0.9, 0.2, 0.5], [0.1, 0.2, 0.3]])
    classes = ("late", "rude", "broken")
    assert answer(probabilities, classes, task="multi-label") == [["late", "broken"], []]
    scored = answer(probabilities, classes, True, "multi-label")
    assert [each["label"] for each in scored] == [["late", "broken"], []]
    assert [each["score"] for each in scored] == pytest.approx([0.5, 0.7])
    assert scored[0]["scores"] == {"late": 0.9, "rude": 0.2, "broken": 0.5}
    assert answer(probabilities[:0], classes, True, "multi-label") == []


@pytest.mark.parametrize(
    ("task", "plain", "best"),
    [("single-label", ["good", None], ["good", "bad"]), ("multi-label", [["good"], None], [["good"], ["bad"]])],
)  # fmt: skip
def test_an_answer_says_where_the_model_is_unsure_and_what_it_would_have_said(
    task: Task, plain: list[Any], best: list[Any]
) -> None:
    rule = AnswerRule(thresholds={"good": 0.5}, below=0.7, abstains=True)
    probabilities = np.array([[0.1, 0.9], [0.6, 0.4]])
    assert answer(probabilities, ("bad", "good"), task=task, rule=rule) == plain
    scored = answer(probabilities, ("bad", "good"), True, task, rule)
    assert [each["label"] for each in scored] == plain
    assert [each["abstained"] for each in scored] == [False, True]
    assert [each["best"] for each in scored] == best
    assert [each["score"] for each in scored] == pytest.approx([0.9, 0.6])
    assert [Scored.model_validate(each).best for each in scored] == best
    assert json.loads(json.dumps(scored)) == scored
