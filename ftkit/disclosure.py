"""Values and output streams as they may leave the process: every text in them is redacted."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

__all__ = ["RedactedStream", "redact_output", "without_secrets"]

T = TypeVar("T")


def without_secrets(value: T) -> T:
    """A value with all its texts redacted, those in mappings, sequences and dataclasses included.

    Keys stay as they are; the value of a key such as `password` is hidden whatever it looks like. A value without secrets is returned
    as the same object. Use it for what is shown, sent or stored for readers, not for values that are computed with.
    """
    from ftkit.redaction import MASK, redacted  # here, so that a command that shows no secret does not pay for it

    if isinstance(value, str):
        return redacted(value)  # type: ignore[return-value]
    if isinstance(value, Mapping):
        shown = {key: MASK if _hides(key, each) else without_secrets(each) for key, each in value.items()}
        return shown if any(shown[key] is not each for key, each in value.items()) else value  # type: ignore[return-value]
    if type(value) in (list, tuple):
        items = [without_secrets(each) for each in value]  # type: ignore[attr-defined]
        changed = any(after is not before for after, before in zip(items, value, strict=True))  # type: ignore[call-overload]
        return type(value)(items) if changed else value  # type: ignore[call-arg]
    if is_dataclass(value) and not isinstance(value, type):
        before = {each.name: getattr(value, each.name) for each in fields(value) if each.init}
        after = {name: without_secrets(each) for name, each in before.items()}
        changes = {name: each for name, each in after.items() if each is not before[name]}
        return replace(value, **changes) if changes else value
    return value


class RedactedStream(io.TextIOBase):
    """A stream that redacts each line and writes it to another stream. Thread-safe.

    It has no `buffer`: bytes would not be redacted.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._line = ""
        self._lock = threading.RLock()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the other stream."""
        return str(self._stream.encoding or "utf-8")

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """How the other stream treats characters that its encoding lacks."""
        return str(self._stream.errors)

    def write(self, text: str) -> int:
        """Hold the text back until its line ends, so that no secret is written in two parts."""
        with self._lock:
            self._line += text
            if self._line.endswith(("\n", "\r")):
                self._write_line()
        return len(text)

    def flush(self) -> None:
        """Write the text that was held back, also in the middle of a line."""
        with self._lock:
            self._write_line()
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether the other stream is a terminal."""
        return bool(self._stream.isatty())

    def fileno(self) -> int:
        """The file descriptor of the other stream."""
        return int(self._stream.fileno())

    def writable(self) -> bool:
        """True: it is an output stream."""
        return True

    def reconfigure(self, **settings: Any) -> None:
        """Change settings of the other stream."""
        self._stream.reconfigure(**settings)

    def _write_line(self) -> None:
        line, self._line = self._line, ""
        if line:
            from ftkit.redaction import redacted

            self._stream.write(redacted(line))


def redact_output() -> None:
    """Redact everything that this process prints and logs from now on; for a process whose output goes into a log."""
    streams = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        if stream is None or isinstance(stream, RedactedStream):
            continue
        redacting = RedactedStream(stream)
        setattr(sys, name, redacting)
        loggers = [logging.getLogger(), *(each for each in logging.root.manager.loggerDict.values())]
        for handler in [each for logger in loggers if isinstance(logger, logging.Logger) for each in logger.handlers]:
            if isinstance(handler, logging.StreamHandler) and handler.stream is stream:
                handler.setStream(redacting)


@lru_cache(maxsize=1024)
def _names_secret(name: str) -> bool:
    """Whether the value of a key of this name is a secret."""
    from ftkit.redaction import MASK, redacted

    return MASK in redacted(f'"{name}": "hunter2x"')


def _hides(key: Any, value: Any) -> bool:
    """Whether the value of a key is hidden for the key's name."""
    return isinstance(key, str) and isinstance(value, str) and value != "" and _names_secret(key)
