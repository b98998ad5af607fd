"""The format of requests and answers: read with every mistake named, written with label names.

request   {"data": [{"text": "…"}, …], "scores": true}
          a model of pairs has the names of its two texts in place of "text": see `request_type`
answer    ["positive", …], or with scores [{"label": "positive", "score": 0.9, "scores": {"positive": 0.9, …}}, …]
          a label of a multi-label model is a list: [["late", "rude"], [], …]; its score is that of its least sure decision
          a model that abstains answers null where it is unsure, and scored rows have `abstained` and `best` besides
"""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from ftkit import pairs, strict_json
from ftkit.evaluation.answer_rules import Decided, decide
from ftkit.formatting import beginning

if TYPE_CHECKING:
    from ftkit.contracts import AnswerRule, Probabilities, Task
    from ftkit.serving.limits import Limits


class Refusal(Exception):
    """A request that is not answered: the HTTP status, what is wrong, where, and how to repair it."""

    def __init__(
        self, status: int, what: str, where: str = "", hint: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(what)
        self.status = status
        self.what = what
        self.where = where
        self.hint = hint
        self.headers = dict(headers or {})

    @property
    def body(self) -> dict[str, str]:
        """The answer's body."""
        return {"error": self.what, "where": self.where, "hint": self.hint}


def whole_text(text: Any) -> Any:
    """A text that can be encoded: halves of surrogate pairs, which JSON can spell, become U+FFFD."""
    if not isinstance(text, str):
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class Message(BaseModel):
    """The parent of the models below, built at first use: some processes load this module and answer no request."""

    model_config = ConfigDict(defer_build=True)


class Row(Message):
    """One text to classify; further keys are ignored, so that whole records can be sent."""

    model_config = ConfigDict(strict=True, extra="ignore")
    text: Annotated[str, BeforeValidator(whole_text)]


class ScoreRequest(Message):
    """Texts to classify."""

    model_config = ConfigDict(
        strict=True, extra="forbid", json_schema_extra={"examples": [{"data": [{"text": "It broke after a week."}]}]}
    )
    data: list[Row]
    scores: bool = Field(default=False, description="Answer with the score of every class, not the label alone.")


class Scored(Message):
    """The answer to one text when scores were asked for."""

    label: str | list[str] | None = Field(
        description="A label name; from a multi-label model the list of its labels; null where the model is unsure."
    )
    score: float = Field(
        description="The probability of the label, or of its least sure one; of an unsure text, of `best`."
    )
    scores: dict[str, float]
    abstained: bool = Field(default=False, description="Whether the model is unsure; only of models that can be.")
    best: str | list[str] = Field(default="", description="The label, or what it would be; only with `abstained`.")


class Failure(Message):
    """Why a request was not answered."""

    error: str
    where: str
    hint: str


class PairRow(Message):
    """Two texts to classify together; each has its own name."""

    model_config = ConfigDict(strict=True, extra="ignore")

    @property
    def text(self) -> str:
        """The pair as one text."""
        return pairs.join(*(getattr(self, name) for name in type(self).model_fields))


@functools.cache
def request_type(fields: tuple[str, ...]) -> type[ScoreRequest]:
    """The request to a model whose rows have these texts."""
    if len(fields) == 1:
        return ScoreRequest
    side = Annotated[str, BeforeValidator(whole_text)]
    names = ("first", "second")  # what a column is called need not be a name in Python
    sides: Any = {name: (side, Field(alias=field)) for name, field in zip(names, fields, strict=True)}
    row = create_model("Row", __base__=PairRow, __doc__=PairRow.__doc__, **sides)
    examples: Any = {"examples": [{"data": [dict.fromkeys(fields, "It broke after a week.")]}]}

    class PairRequest(ScoreRequest):
        """Pairs of texts to classify."""

        model_config = ConfigDict(json_schema_extra=examples)

    return create_model("ScoreRequest", __base__=PairRequest, data=(list[row], ...))  # type: ignore[valid-type]  # made here


def example(fields: Sequence[str]) -> str:
    """What to send, for the hint of a refusal."""
    row = ", ".join(f'{json.dumps(name, ensure_ascii=False)}: "…"' for name in fields)
    return f'Send {{"data": [{{{row}}}]}}.'


def parse(body: bytes, limits: Limits, fields: tuple[str, ...] = pairs.TEXT) -> ScoreRequest:
    """Read the body of a request to a model whose rows have these texts. Raises: Refusal, naming the first mistake and its place."""
    if len(body) > limits.size:
        raise too_large(limits)
    try:
        value = strict_json.parse(body)
    except ValueError as error:
        raise Refusal(400, f"the body is not JSON: {error}", "body", example(fields)) from error
    data = value.get("data") if isinstance(value, dict) else None
    if isinstance(data, list) and len(data) > limits.rows:
        raise Refusal(
            413, f"{len(data)} rows in one request; this server takes {limits.rows}", "data", "Send several requests."
        )
    return checked(value, fields)


def checked(value: Any, fields: tuple[str, ...] = pairs.TEXT) -> ScoreRequest:
    """A request from its decoded body. Raises: Refusal, naming the first mistake and its place."""
    try:
        return request_type(fields).model_validate(value)
    except ValidationError as error:
        raise _refusal(error, fields) from error


def too_large(limits: Limits) -> Refusal:
    """A body beyond the limit."""
    return Refusal(413, f"the body is larger than {limits.size} bytes", "body", "Send several smaller requests.")


def answer(
    probabilities: Probabilities,
    classes: Sequence[str],
    scores: bool = False,
    task: Task = "single-label",
    rule: AnswerRule | None = None,
) -> list[Any]:
    """The body of an answer: one label name per row, or a list of them, or None for a text of which the model is unsure.

    With `scores` the scores of all classes too, and of a model that can be unsure, whether it is and what it would have answered.
    """
    if not len(probabilities):
        return []
    return decided_answer(decide(probabilities, classes, task, rule), probabilities if scores else None, rule)


def decided_answer(decided: Decided, scores: Probabilities | None = None, rule: AnswerRule | None = None) -> list[Any]:
    """The body of an answer that was decided by a rule, see `answer`; with `scores` where they are given."""
    if scores is None:
        return decided.labels
    rows = [dict(zip(decided.classes, map(float, row), strict=True)) for row in scores]
    sure = map(float, decided.certainty)
    scored = zip(decided.labels, sure, rows, strict=True)
    answers: list[dict[str, Any]] = [{"label": label, "score": score, "scores": row} for label, score, row in scored]
    if rule is not None and rule.abstains:
        for each, unsure, best in zip(answers, decided.unsure, decided.best, strict=True):
            each |= {"abstained": bool(unsure), "best": best}
    return answers


_KINDS = ((bool, "a boolean"), ((int, float), "a number"), (str, "a string"), (list, "a list"), (dict, "an object"))
_WANTED = {
    "string_type": "a string",
    "list_type": "a list",
    "bool_type": "true or false",
    "model_type": "an object",
    "model_attributes_type": "an object",
}


def _refusal(error: ValidationError, fields: Sequence[str]) -> Refusal:
    """The first mistake that pydantic names, in this module's words."""
    mistakes = error.errors(include_url=False)
    first = mistakes[0]
    where = place(first["loc"])
    kind = first["type"]
    hint = example(fields)
    if kind == "missing":
        what = f"{where} is missing"
    elif kind == "extra_forbidden":
        what = f"{where} is not a key of a request"
        near = difflib.get_close_matches(str(first["loc"][-1]), list(ScoreRequest.model_fields), 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"The keys are {' and '.join(ScoreRequest.model_fields)}."
    elif kind in _WANTED:
        what = f"{where} is {kind_of(first['input'])}; it must be {_WANTED[kind]}"
    else:
        what = f"{where}: {first['msg']}"
    more = len(mistakes) - 1
    return Refusal(422, f"{what} ({more} more like it)" if more else what, where, hint)


def kind_of(value: Any) -> str:
    """What a value of JSON is, with its article."""
    return next((noun for types, noun in _KINDS if isinstance(value, types)), "null")


def place(location: Sequence[int | str]) -> str:
    """`data[3].text` for ("data", 3, "text")."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return beginning(path, 200) or "the body"
