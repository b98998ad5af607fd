"""Says whether bytes are a pickle by listing its operations; nothing is carried out.

Protocols 2 to 5 begin with a mark of their own, protocols 0 and 1 with any letter. So that no text is taken for a pickle, the stack
that the operations would work on is counted as well, and the beginning must do what only pickles do: import and call something,
or keep objects in the memo.

Source: CPython, `pickletools` (the operations and their stacks, and the checks of `dis`).
"""

from __future__ import annotations

import importlib.util
import io
import pickletools
import sys
from collections.abc import Sequence

_CALLS = {"REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD"}
_UNUSED = {"EXT1", "EXT2", "EXT4"}
"""Operations on a table of the process that is empty unless a program fills it."""
_KEEPS = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_MOST_OPERATIONS = 100_000
_FEW_OPERATIONS = 5
"""Fewer operations than this can be a short word with a full stop."""
_MANY_OPERATIONS = 50
"""Operations in a row that no text has."""


def is_pickle(content: bytes, complete: bool) -> bool | None:
    """Whether the content begins with a pickle; None when it may be one, and only what follows can tell.

    `complete` says that nothing follows.
    """
    source = _Source(content)
    stack = _Stack()
    marked = imports = keeps = False
    count = 0
    try:
        for operation, argument, position in pickletools.genops(source):
            count += 1
            if count > _MOST_OPERATIONS:
                return marked or keeps
            if operation.name in _UNUSED or (operation.name in _KEEPS and not stack.depth):
                return False
            stack.apply(operation)
            keeps = keeps or operation.name in _KEEPS
            if operation.name == "PROTO":
                marked = marked or (position == 0 and argument in (2, 3, 4, 5))
            elif operation.name in ("GLOBAL", "INST"):
                imports = _is_importable(str(argument)) or imports
            elif operation.name == "STACK_GLOBAL":
                imports = True
            if imports and (marked or operation.name in _CALLS):
                return True
    except (ValueError, KeyError, IndexError, OverflowError):
        if not source.exhausted or complete:
            return False
        likely = marked or (keeps and count >= _MANY_OPERATIONS)
        return True if likely and count > 1 else None
    if marked:
        return True
    ends = source.tell() == len(content) and complete
    return not stack.depth and (keeps or (ends and count >= _FEW_OPERATIONS))


class _Source(io.BytesIO):
    """Bytes that remember whether more of them were wanted than there are."""

    exhausted = False

    def read(self, size: int | None = -1, /) -> bytes:
        part = super().read(size)
        self.exhausted = self.exhausted or (size is not None and len(part) < size)
        return part

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        self.exhausted = self.exhausted or not line.endswith(b"\n")
        return line


class _Stack:
    """What lies on a pickle's stack: objects, and marks where a sequence of them begins."""

    def __init__(self) -> None:
        self._is_mark: list[bool] = []

    @property
    def depth(self) -> int:
        return len(self._is_mark)

    def apply(self, operation: pickletools.OpcodeInfo) -> None:
        """Take what an operation takes and add what it adds. Raises: ValueError when it is not there."""
        before: Sequence[object] = operation.stack_before
        taken = len(before)
        if pickletools.markobject in before or (operation.name == "POP" and self._is_mark[-1:] == [True]):
            if True not in self._is_mark:
                raise ValueError("there is no mark")
            while not self._is_mark.pop():
                pass
            taken = list(before).index(pickletools.markobject) if pickletools.markobject in before else 0
        if taken > len(self._is_mark) or any(self._is_mark[len(self._is_mark) - taken :]):
            raise ValueError("too little is on the stack")
        del self._is_mark[len(self._is_mark) - taken :]
        self._is_mark += [each is pickletools.markobject for each in operation.stack_after]


def _is_importable(argument: str) -> bool:
    """Whether there is such a module here, so that an import can run something; nothing is imported.

    Raises: ValueError unless these are the names of a module and of something in it.
    """
    module, _, name = argument.partition(" ")
    if not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
        raise ValueError("these are no names")
    package = module.partition(".")[0]
    return package in sys.modules or importlib.util.find_spec(package) is not None
