"""Requests to a served model, answered in this process: a refusal in JSON, or the answers to the texts as they were sent."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fuzzing.families import Case, Outcome, Silent
from benchmarks.fuzzing.mutations import ODD_TEXTS, another_value, damaged, written
from benchmarks.fuzzing.served import MODELS, Served

BODIES = {
    ("text",): {"data": [{"text": "sturdy bright"}, {"text": "broke", "id": 3}], "scores": False},
    ("premise", "hypothesis"): {
        "data": [{"premise": "sturdy", "hypothesis": "broke"}, {"premise": "a", "hypothesis": "b", "text": "c"}],
        "scores": True,
    },
}
HEADERS = (
    "Content-Type",
    "Authorization",
    "traceparent",
    "X-Ftkit-Deployment",
    "Content-Length",
    "Transfer-Encoding",
    "baggage",
    "",
)


class WrongAnswer(AssertionError):
    """An answer that the interface does not have."""


class Cases:
    """Three hosts: of texts, of pairs, and of texts with several labels."""

    def __init__(self, folder: Path) -> None:
        self._served = Served(folder)
        self._hosts = {name: self._served.host(name) for name in MODELS}

    def close(self) -> None:
        """Close the hosts."""
        for host in self._hosts.values():
            host.close()
        self._served.close()

    def case(self, random: Random) -> Case:
        """A body with damages, and odd headers."""
        name = random.choice([*self._hosts])
        host = self._hosts[name]
        body = body_for(random, self._served.fields(name))
        headers = {random.choice(HEADERS): random.choice(ODD_TEXTS) for _ in range(random.choice((0, 0, 1, 3)))}

        def read() -> Outcome:
            from ftkit.serving.handler import respond

            reply = respond(host, body, headers)
            return checked(reply.status, reply.body, body, host)

        return Case(f"{name} {headers} {body[:2000]!r}", read)


def body_for(random: Random, fields: tuple[str, ...]) -> bytes:
    """A request's body: valid, damaged in its structure, or in its bytes."""
    value: Any = json.loads(json.dumps(BODIES[fields]))
    if random.random() < 0.2:
        value["data"] = [dict.fromkeys(fields, each) for each in random.sample(ODD_TEXTS, 5)]
    if random.random() < 0.05:
        value["data"] *= random.choice((0, 10, 600, 3000))
    if random.random() < 0.7:
        value = another_value(random, value)
    body = written(value)
    if random.random() < 0.3:
        body = damaged(random, body)
    if random.random() < 0.05:
        body = body.decode("utf-8", "replace").encode(random.choice(("utf-16", "utf-8-sig", "utf-32-le", "utf-16-be")))
    return body


def checked(status: int, content: bytes, body: bytes, host: Any) -> Outcome:
    """How a request ended. Raises: WrongAnswer; Silent for answers to other texts than those that were sent."""
    if not (status == 200 or 400 <= status < 500):
        raise WrongAnswer(f"status {status}: {content[:500]!r}")
    try:
        answer = json.loads(content)
    except ValueError as error:
        raise WrongAnswer(f"status {status}, no JSON: {content[:500]!r}") from error
    if status != 200:
        if not isinstance(answer, dict) or answer.keys() != {"error", "where", "hint"}:
            raise WrongAnswer(f"status {status}: {content[:500]!r}")
        if len(content) > 10_000:
            raise WrongAnswer(f"a refusal of {len(content)} bytes: {content[:500]!r}")
        return "refused"
    try:
        value = json.loads(body, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Silent(f"a body that is no sound JSON was answered\n{error}: {body[:300]!r}") from error
    rows = value["data"]
    if len(answer) != len(rows):
        raise WrongAnswer(f"{len(answer)} answers to {len(rows)} texts")
    texts = [tuple(_whole(row[name]) for name in host.bundle.fields) for row in rows]
    wanted = host.bundle.predict([row if len(row) > 1 else row[0] for row in texts])
    labels = [each["label"] for each in answer] if value.get("scores") else answer
    if labels != wanted:
        raise Silent(f"answers to other texts than those that were sent\n{labels[:5]} {wanted[:5]}")
    return "accepted"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are there once. Raises: ValueError."""
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


def _whole(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
