"""Asks the alarms of a rollout whether something outside says no to a new deployment."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence

from ftkit.contracts import Emit
from ftkit.contracts.events import Noticed
from ftkit.contracts.settings import Alarm
from ftkit.errors import in_one_line
from ftkit.formatting import beginning
from ftkit.redaction import redacted

_SHOWN = 200
"""Characters that are shown of what an alarm says."""


class Alarms:
    """The alarms of one rollout, each asked when it is due."""

    def __init__(self, alarms: Sequence[Alarm], emit: Emit) -> None:
        self._due = dict.fromkeys(alarms, 0.0)
        self._emit = emit
        self._silent: set[Alarm] = set()
        """Alarms that gave no answer last time."""

    @property
    def silent(self) -> list[str]:
        """Titles of the alarms that gave no answer when they were asked last."""
        return [alarm.title for alarm in self._silent]

    def ask(self) -> str:
        """What the first of them says that says no; empty while none does."""
        for alarm, due in self._due.items():
            if time.monotonic() < due:
                continue
            try:
                objection = _objection(alarm)
            except Exception as error:  # whatever an address or a program does
                if alarm not in self._silent:
                    reason = redacted(beginning(in_one_line(error), _SHOWN))
                    self._emit(Noticed(f"{alarm.title} gives no answer: {reason}.", warning=True))
                self._silent.add(alarm)
                objection = ""
            else:
                self._silent.discard(alarm)
            self._due[alarm] = time.monotonic() + alarm.every
            if objection:
                return f"{alarm.title} says no: {redacted(objection)}"
        return ""


def _objection(alarm: Alarm) -> str:
    """What an alarm says; empty for no objection. Raises: OSError and others where it gives no answer."""
    if alarm.command:
        return _of_command(alarm)
    import httpx2

    with httpx2.Client(timeout=alarm.timeout, follow_redirects=True) as client:
        if not alarm.query:
            answer = client.get(alarm.url)
            return (
                f"it answers {answer.status_code} {beginning(answer.text, _SHOWN)}".strip() if answer.is_error else ""
            )
        answer = client.get(f"{alarm.url.rstrip('/')}/api/v1/query", params={"query": alarm.query})
    table = answer.json()
    if table.get("status") != "success":
        raise ValueError(f"Prometheus answers {answer.status_code}: {table.get('error', 'no success')}")
    result, kind = table["data"]["result"], table["data"]["resultType"]
    samples = [result] if kind == "scalar" else [series["value"] for series in result]
    firing = [float(value) for _, value in samples if float(value) != 0]
    return f"its query gives {firing[0]:g}" if firing else ""


def _of_command(alarm: Alarm) -> str:
    try:
        ended = subprocess.run(
            alarm.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=alarm.timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"the program took longer than {alarm.timeout:g} s") from None
    if not ended.returncode:
        return ""
    words = beginning(ended.stdout.decode(errors="replace").strip(), _SHOWN)
    return f"it ended with status {ended.returncode}{': ' + words if words else ''}"
