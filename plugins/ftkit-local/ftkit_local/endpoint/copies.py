"""Copies of the live traffic for a deployment that gets none: its answers are compared with those of the deployment that has it.

A copied request is sent to both once more, with scores, after its caller has the answer: no caller waits for it, whatever becomes of it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ftkit import pairs
from ftkit.contracts.copies import Comparison, Flip

if TYPE_CHECKING:
    from ftkit_local.endpoint.child import Child

AT_A_TIME = 8
"""Copies under way; while there are so many, no further ones are made."""
FLIPS = 50
"""The latest texts with another answer that are kept, in memory only."""


class Copies:
    """Copies for one deployment, and what came of them."""

    def __init__(self, target: Child, percent: int) -> None:
        self.target = target
        self._percent = percent
        self._credit = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._texts = self._flipped = self._failed = self._pairs = 0
        self._shift = self._largest = 0.0
        self._seconds = [0.0, 0.0]
        self._flips: deque[Flip] = deque(maxlen=FLIPS)

    def offer(self, body: bytes, answered: Child) -> None:
        """Copy a request that another deployment has answered, if it is the turn of this one; returns at once."""
        self._credit += self._percent
        if self._credit < 100:
            return
        self._credit -= 100
        if answered is self.target or len(self._tasks) >= AT_A_TIME:
            return
        task = asyncio.create_task(self._compare(body, answered))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def end(self) -> None:
        """Make no further copies; those under way are dropped."""
        self._percent = 0
        for task in self._tasks:
            task.cancel()

    def comparison(self) -> Comparison:
        """What came of the copies so far."""
        pairs, texts = max(self._pairs, 1), max(self._texts, 1)
        return Comparison(
            texts=self._texts,
            flipped=self._flipped,
            shift=self._shift / texts,
            largest=self._largest,
            seconds=(self._seconds[0] / pairs, self._seconds[1] / pairs),
            failed=self._failed,
            flips=tuple(self._flips),
        )

    async def _compare(self, body: bytes, answered: Child) -> None:
        request = json.loads(body)
        content = json.dumps({**request, "scores": True}).encode()
        answers: list[list[dict[str, Any]]] = []
        took = []
        for server in (answered, self.target):
            begun = time.monotonic()
            with server.flight():
                try:
                    answer = await server.wire.ask("POST", "/score", content, {"content-type": "application/json"})
                except OSError as error:
                    kind = "timeout" if isinstance(error, TimeoutError) else "disconnected"
                    server.counts.request(0.0, kind)
                    self._failed += server is self.target
                    return
            seconds = time.monotonic() - begun
            failed = answer.status >= 400
            server.counts.request(seconds, str(answer.status) if failed else "")
            if failed:
                self._failed += server is self.target
                return
            answers.append(json.loads(answer.content))
            took.append(seconds)
        self._pairs += 1
        self._seconds = [before + seconds for before, seconds in zip(self._seconds, took, strict=True)]
        for row, old, new in zip(request["data"], *answers, strict=True):
            self._pair(row, old, new)

    def _pair(self, row: dict[str, Any], old: dict[str, Any], new: dict[str, Any]) -> None:
        self._texts += 1
        before, after = old["scores"], new["scores"]
        shift = max((abs(before.get(name, 0.0) - after.get(name, 0.0)) for name in {*before, *after}), default=0.0)
        self._shift += shift
        self._largest = max(self._largest, shift)
        if old["label"] != new["label"]:
            self._flipped += 1
            self._flips.append(Flip(_shown(row), old["label"], new["label"]))


def _shown(row: dict[str, Any]) -> str:
    """The text of a row for a reader; of one of pairs all that are texts."""
    return (
        str(row["text"]) if "text" in row else pairs.SHOWN.join(each for each in row.values() if isinstance(each, str))
    )


def to_json(copies: Copies | None) -> dict[str, Any] | None:
    """The comparison as the admin interface answers it."""
    return asdict(copies.comparison()) if copies else None


def from_json(table: dict[str, Any] | None) -> Comparison | None:
    """The comparison of which `to_json` made this object."""
    if table is None:
        return None
    return Comparison(
        **{**table, "seconds": tuple(table["seconds"]), "flips": tuple(Flip(**each) for each in table["flips"])}
    )
