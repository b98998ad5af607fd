"""The HTTP interface as an OpenAPI document, for the page of /docs and for generated clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftkit import pairs
from ftkit._version import __version__
from ftkit.serving.open_inference import ROOT, InferFailure, InferRequest, InferResponse, Tensor, Wanted
from ftkit.serving.schema import Failure, Message, Scored, request_type

REFUSALS = {
    400: "The body is not JSON.",
    413: "The request is too large.",
    422: "The request has another form; the answer names the place.",
    429: "Too many requests wait for the model; come back after `Retry-After` seconds.",
    503: "The model is not ready, or the server is shutting down; come back after `Retry-After` seconds.",
}

_REFERENCE = "#/components/schemas/{model}"


def document(
    title: str,
    refusals: Mapping[int, str],
    *,
    guarded: bool,
    root: str = "",
    fields: tuple[str, ...] = pairs.TEXT,
    name: str = "model",
) -> dict[str, Any]:
    """The document of an interface below the path `root`; `refusals` are statuses of /score beyond `REFUSALS`.

    `fields` are the names of the texts of a row; `name` is that of the model in the Open Inference Protocol.
    """
    request = request_type(fields)
    unauthorised = {401: "The key is missing or wrong."} if guarded else {}
    refused = {
        str(status): _answer(sentence, {"$ref": _REFERENCE.format(model="Failure")})
        for status, sentence in sorted({**REFUSALS, **unauthorised, **refusals}.items())
    }
    score = _operation(
        "post_score_score_post",
        "model",
        "Classify texts",
        'One label name per text, or a list of them from a multi-label model, null where it is unsure; with `"scores": true`, the score of every class.',
        {
            "anyOf": [
                {"items": {"type": ["string", "null"]}, "type": "array"},
                {"items": {"$ref": _REFERENCE.format(model="Scored")}, "type": "array"},
                {"items": {"items": {"type": "string"}, "type": ["array", "null"]}, "type": "array"},
            ]
        },
    )
    score["responses"] |= refused
    score["requestBody"] = {"content": {"application/json": {"schema": _schema(request)}}, "required": True}
    model = _operation(
        "get_model_model_get",
        "model",
        "What is served",
        "Task, classes, the bundle's hash, and where the model comes from.",
        {"additionalProperties": True, "type": "object"},
    )
    texts_by_name = {"additionalProperties": {"type": "string"}, "type": "object"}
    health = _operation(
        "get_healthz_healthz_get",
        "health",
        "Whether the process lives",
        "Answers as soon as the process is up.",
        texts_by_name,
    )
    ready = _operation(
        "get_readyz_readyz_get",
        "health",
        "Whether requests will be answered",
        "200 when the model is loaded and warm; 503 with the reason until then.",
        texts_by_name,
    )
    ready["responses"]["503"] = {"description": "Not ready, and why."}
    inference = _inference(f"{ROOT}/models/{name}", {**REFUSALS, **unauthorised, **refusals})
    schemas = {each.__name__: _schema(each) for each in (Failure, Scored, *_MESSAGES)}
    components: dict[str, Any] = {"schemas": schemas | {"Row": request.model_json_schema()["$defs"]["Row"]}}
    if guarded:
        for operation in (score, model, *inference.values()):
            operation["security"] = [{"HTTPBearer": []}]
        key = {"type": "http", "description": "The endpoint's key.", "scheme": "bearer"}
        components["securitySchemes"] = {"HTTPBearer": key}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "description": "A text classifier, served by ftkit.", "version": __version__},
        "paths": {
            "/score": {"post": score},
            "/model": {"get": model},
            "/healthz": {"get": health},
            "/readyz": {"get": ready},
            **{path: {"post" if path.endswith("/infer") else "get": each} for path, each in inference.items()},
        },
        "components": components,
        **({"servers": [{"url": root}]} if root else {}),
    }


_MESSAGES = (InferFailure, InferRequest, InferResponse, Tensor, Wanted)


def _inference(path: str, refusals: Mapping[int, str]) -> dict[str, dict[str, Any]]:
    """The operations of the Open Inference Protocol that tell of the model, by path."""
    failure = {"$ref": _REFERENCE.format(model=InferFailure.__name__)}
    refused = {str(status): _answer(sentence, failure) for status, sentence in sorted(refusals.items())}
    refused["400"] = _answer("The tensors are not those that the model reads.", failure)
    del refused["422"]
    infer = _operation(
        "post_v2_infer",
        "open inference protocol",
        "Classify texts",
        "Texts as a tensor of type BYTES; label, score, probabilities and classes as tensors. An unsure label is empty, several are a list as JSON.",
        {"$ref": _REFERENCE.format(model=InferResponse.__name__)},
    )
    infer["responses"] |= refused
    body = {"$ref": _REFERENCE.format(model=InferRequest.__name__)}
    infer["requestBody"] = {"content": {"application/json": {"schema": body}}, "required": True}
    metadata = _operation(
        "get_v2_model",
        "open inference protocol",
        "The model's tensors",
        "Names, types and shapes of what goes in and out.",
        {"additionalProperties": True, "type": "object"},
    )
    return {f"{path}/infer": infer, path: metadata}


def _operation(name: str, tag: str, summary: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": [tag],
        "summary": summary,
        "description": description,
        "operationId": name,  # what generated clients call it
        "responses": {"200": _answer("Successful Response", schema)},
    }


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _schema(model: type[Message]) -> dict[str, Any]:
    """A model's JSON Schema; the models that it refers to are among the document's components."""
    schema = model.model_json_schema(ref_template=_REFERENCE)
    schema.pop("$defs", None)
    return schema
