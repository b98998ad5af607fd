"""The Open Inference Protocol, also called V2, by the handlers of /score and /model: so every server and front offers it.

GET  /v2                        name and version of the server
GET  /v2/health/live, ready     whether the process lives; whether requests will be answered
GET  /v2/models                 the one model that is served
GET  /v2/models/NAME            its tensors; /ready says whether it answers
POST /v2/models/NAME/infer      texts in, label, score and probabilities out

A text is an element of a tensor of type BYTES, named as in a row of /score: `text`, or both names where the model reads pairs.
Source: https://github.com/kserve/kserve/blob/master/docs/predict-api/v2/required_api.md
"""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ConfigDict, Field, ValidationError
from starlette.requests import Request

from ftkit import strict_json
from ftkit._version import __version__
from ftkit.serving.handler import Reply, json_reply
from ftkit.serving.schema import Message, Refusal, kind_of, place

Handler = Callable[[Request], Awaitable[Reply]]

ROOT = "/v2"
OUTPUTS = ("label", "score", "probabilities", "classes")
"""The tensors of an answer."""
BINARY = "inference-header-content-length"
"""The header of requests whose tensors follow their JSON as bytes: an extension of the protocol that is not offered here."""


class Tensor(Message):
    """Values with a name, a type and a shape, in rows one after another, or nested."""

    model_config = ConfigDict(strict=True, extra="ignore")
    name: str
    shape: list[int] = Field(description="One number for each dimension: rows, or rows and 1.")
    datatype: str
    data: list[Any]


class Wanted(Message):
    """An output to answer with."""

    model_config = ConfigDict(strict=True, extra="ignore")
    name: str


_EXAMPLE: Any = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["It broke after a week."]}]}


class InferRequest(Message):
    """Texts to classify, as tensors of type BYTES."""

    model_config = ConfigDict(strict=True, extra="ignore", json_schema_extra={"examples": [_EXAMPLE]})
    id: str = Field(default="", description="Comes back with the answer.")
    inputs: list[Tensor]
    outputs: list[Wanted] = Field(default=[], description="The tensors to answer with; by default all.")


class InferResponse(Message):
    """Labels, their scores, the probabilities of all classes, and the names of these classes."""

    model_name: str
    id: str = ""
    outputs: list[Tensor]


class InferFailure(Message):
    """Why a request was not answered."""

    error: str


class TranslatedRequest(Request):
    """A request whose body is read as that of /score."""

    def __init__(self, request: Request, translate: Callable[[bytes], bytes]) -> None:
        super().__init__(request.scope, request.receive)
        self.translate = translate
        """Makes the body for /score. Raises: Refusal."""


@dataclass(frozen=True)
class OpenInference:
    """The protocol for one model, whose name callers put into the path."""

    name: str
    score: Handler
    model: Handler
    ready: Handler
    fields: Callable[[], tuple[str, ...]]

    async def server(self, _: Request) -> Reply:
        """Name and version of the server."""
        return json_reply({"name": "ftkit", "version": __version__, "extensions": []})

    async def live(self, _: Request) -> Reply:
        """The process lives."""
        return json_reply({"live": True})

    async def server_ready(self, request: Request) -> Reply:
        """Requests will be answered. Raises: Refusal."""
        await self._check_ready(request)
        return json_reply({"ready": True})

    async def models(self, _: Request) -> Reply:
        """The names of all models: of one."""
        return json_reply({"models": [self.name]})

    async def model_ready(self, request: Request) -> Reply:
        """Requests to the model will be answered. Raises: Refusal."""
        self._check_name(request)
        await self._check_ready(request)
        return json_reply({"name": self.name, "ready": True})

    async def metadata(self, request: Request) -> Reply:
        """The tensors of the model. Raises: Refusal."""
        self._check_name(request)
        reply = await self.model(request)
        if reply.status != 200:
            return reply
        manifest = json.loads(reply.body)
        classes = len(manifest["classes"])
        inputs = [{"name": name, "datatype": "BYTES", "shape": [-1]} for name in manifest["fields"]]
        shapes = {"label": [-1], "score": [-1], "probabilities": [-1, classes], "classes": [classes]}
        outputs = [{"name": name, "datatype": _TYPES[name], "shape": shape} for name, shape in shapes.items()]
        body = {"name": self.name, "platform": "ftkit_bundle", "inputs": inputs, "outputs": outputs}
        return json_reply(body, headers=reply.headers)

    async def infer(self, request: Request) -> Reply:
        """Texts in, labels and scores out. Raises: Refusal."""
        self._check_name(request)
        if BINARY in request.headers:
            hint = "Send the tensors as JSON; clients have an option for it, such as binary_data=False."
            raise Refusal(415, "tensors as bytes behind the JSON are not read here", f"header {BINARY}", hint)
        asked: list[InferRequest] = []

        def translated(body: bytes) -> bytes:
            asked.append(_parsed(body))
            return _score_request(asked[0], self.fields())

        reply = await self.score(TranslatedRequest(request, translated))
        if reply.status != 200:
            return reply
        outputs = _outputs(json.loads(reply.body), [each.name for each in asked[0].outputs] or OUTPUTS)
        answer = {"model_name": self.name, **({"id": asked[0].id} if asked[0].id else {}), "outputs": outputs}
        return json_reply(answer, headers=reply.headers)

    def _check_name(self, request: Request) -> None:
        name = request.path_params["name"]
        if name != self.name:
            where = request.scope["path"]
            raise Refusal(404, f"there is no model {name[:60]!r}", where, f"The model is called {self.name!r}.")

    async def _check_ready(self, request: Request) -> None:
        reply = await self.ready(request)
        if reply.status != 200:
            reason = json.loads(reply.body).get("reason", "")
            raise Refusal(503, f"the model is not ready: {reason}", headers={"Retry-After": "1"})


def in_form(reply: Reply) -> Reply:
    """An answer with its error, if it is one, as the protocol has it: one sentence."""
    if reply.status < 400:
        return reply
    failure = json.loads(reply.body)
    where = f" ({failure['where']})" if failure.get("where") else ""
    return replace(
        reply, body=json.dumps({"error": f"{failure['error']}{where}. {failure.get('hint', '')}".strip()}).encode()
    )


_TYPES = {"label": "BYTES", "score": "FP64", "probabilities": "FP64", "classes": "BYTES"}


def _parsed(body: bytes) -> InferRequest:
    """Raises: Refusal, naming the first mistake."""
    try:
        request = InferRequest.model_validate(strict_json.parse(body))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Refusal(400, f"{place(first['loc'])}: {first['msg']}", hint=f"Send {json.dumps(_EXAMPLE)}.") from error
    except ValueError as error:
        raise Refusal(400, f"the body is not JSON: {error}", "body", f"Send {json.dumps(_EXAMPLE)}.") from error
    for number, output in enumerate(request.outputs):
        if output.name not in OUTPUTS:
            hint = f"The outputs are {', '.join(OUTPUTS)}."
            raise Refusal(400, f"there is no output {output.name[:60]!r}", f"outputs[{number}].name", hint)
    return request


def _score_request(request: InferRequest, fields: Sequence[str]) -> bytes:
    """The body for /score. Raises: Refusal for tensors that hold no texts, or others than the model reads."""
    names = [tensor.name for tensor in request.inputs]
    if sorted(names) != sorted(fields):
        sent = ", ".join(name[:60] for name in names[:5]) or "none"
        raise Refusal(400, f"the inputs are {sent}", "inputs", f"The model reads {' and '.join(fields)}.")
    columns = [_texts(tensor, f"inputs[{number}]") for number, tensor in enumerate(request.inputs)]
    if len({len(column) for column in columns}) > 1:
        raise Refusal(400, "the inputs are not of one length", "inputs", "Send as many texts in one as in the other.")
    rows = [dict(zip(names, texts, strict=True)) for texts in zip(*columns, strict=True)]
    return json.dumps({"data": rows, "scores": True}).encode()


def _texts(tensor: Tensor, where: str) -> list[str]:
    """The texts of a tensor. Raises: Refusal."""
    if tensor.datatype != "BYTES":
        raise Refusal(400, f"the type is {tensor.datatype[:60]!r}", f"{where}.datatype", "Texts are of type BYTES.")
    shape = tensor.shape
    if not 1 <= len(shape) <= 2 or shape[1:] not in ([], [1]) or shape[0] < 1:
        raise Refusal(
            400, f"the shape is {str(shape)[:60]}", f"{where}.shape", "It must be [N] or [N, 1], for N texts."
        )
    nested = len(shape) == 2 and all(isinstance(each, list) and len(each) == 1 for each in tensor.data)
    texts = [each[0] for each in tensor.data] if nested else tensor.data
    if len(texts) != math.prod(shape):
        what = f"{len(texts):,} elements in a tensor of shape {shape}"
        raise Refusal(400, what, f"{where}.data", "Send as many elements as the shape says.")
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise Refusal(400, f"the element is {kind_of(text)}", f"{where}.data[{number}]", "It must be a string.")
    return texts


def _outputs(rows: Sequence[Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """The tensors of these names, made of the rows of an answer with scores, of which there is one at least."""
    classes = list(rows[0]["scores"])
    count = len(rows)
    tensors: dict[str, tuple[list[int], list[Any]]] = {
        "label": ([count], [_label(row["label"]) for row in rows]),
        "score": ([count], [row["score"] for row in rows]),
        "probabilities": ([count, len(classes)], [each for row in rows for each in row["scores"].values()]),
        "classes": ([len(classes)], classes),
    }
    shaped = ((name, *tensors[name]) for name in names)
    return [{"name": name, "datatype": _TYPES[name], "shape": shape, "data": data} for name, shape, data in shaped]


def _label(label: str | list[str] | None) -> str:
    """A label as an element of a tensor: the list of several as JSON, nothing of a text of which the model is unsure."""
    return json.dumps(label, ensure_ascii=False) if isinstance(label, list) else label or ""
