"""The files that a run was trained from: what they were when their rows were taken, and whether they still are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ftkit import options
from ftkit.contracts import Emit, FileReading, capable
from ftkit.contracts.events import Noticed
from ftkit.contracts.plan import Plan
from ftkit.files import is_pattern, matching
from ftkit.plugins.calls import call
from ftkit.runs.ledger import Ledger

FACT = "sources"
"""The fact of the journal that has the files; older journals have none."""


def named(plan: Plan) -> dict[str, Path]:
    """The files and folders of this machine that data set and backbone read, by their keys in the recipe; they may be missing."""
    dataset = (
        dict(call(FileReading.files, plan.dataset))
        if capable(plan.dataset, FileReading)
        else options.local_paths(plan.dataset)
    )
    parts = {"dataset": dataset}
    for backbone in plan.every_backbone:
        parts[f"backbone.{backbone.name}" if plan.backbones else "backbone"] = options.local_paths(backbone)
    return {f"{section}.{option}": path for section, files in parts.items() for option, path in files.items()}


@contextmanager
def recorded(plan: Plan, ledger: Ledger, emit: Emit) -> Iterator[None]:
    """Write into the journal which files a plan has, once the block has read them; warns of one that was written meanwhile."""
    paths = named(plan)
    before = {key: _state(path) for key, path in paths.items() if matching(path)}
    yield
    files: dict[str, dict[str, Any]] = {}
    for key, path in paths.items():
        with suppress(OSError):  # gone meanwhile
            files[key] = {"path": str(path.absolute()), **_state(path), "blake2b": _hash(path)}
    for key in before:
        if before[key].items() - files.get(key, {}).items():
            text = f"{paths[key]} ({key}) was written while it was read: --fresh, once it is complete, reads it anew."
            emit(Noticed(text, warning=True))
    ledger.append(FACT, files=files)


def changes(ledger: Ledger) -> list[str]:
    """What has become of a run's files since it read them, a sentence for each that is not the same; empty if nothing is known."""
    fact = ledger.fact(FACT)
    return list(_changes(fact["files"])) if fact else []


def unchanged(ledger: Ledger, plan: Plan) -> bool:
    """Whether the files of a plan are those that a run of the same recipe has read; files that the run knows nothing of are not."""
    fact = ledger.fact(FACT)
    return not named(plan) or (fact is not None and not list(_changes(fact["files"])))


def _changes(files: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for key, before in files.items():
        path = Path(before["path"])
        since = f"since the {'rows' if key.startswith('dataset.') else 'weights'} were taken from it"
        try:
            if not matching(path):
                yield f"{path} ({key}) is gone {since}"
            elif (
                _state(path) != {name: before[name] for name in ("size", "modified")}
                and _hash(path) != before["blake2b"]
            ):
                yield f"{path} ({key}) has changed {since}"
        except OSError as error:
            yield f"whether {path} ({key}) has changed {since} is not known: {error.strerror}"


def _state(path: Path) -> dict[str, int]:
    """Bytes, and nanoseconds of the latest change; of a folder or a pattern over all of its files."""
    stats = [each.stat() for _, each in _files(path)]
    return {
        "size": sum(each.st_size for each in stats),
        "modified": max((each.st_mtime_ns for each in stats), default=0),
    }


def _hash(path: Path) -> str:
    """A digest of a file's content; of a folder or a pattern of the names and contents of its files."""
    if path.is_file():
        return _content_hash(path)
    lines = (f"{name} {_content_hash(file)}\n" for name, file in _files(path))
    return hashlib.blake2b("".join(lines).encode(), digest_size=32).hexdigest()


def _content_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).hexdigest()


def _files(path: Path) -> list[tuple[str, Path]]:
    """A file, those of a pattern, or those of a folder at any depth by their names, without hidden ones."""
    if is_pattern(path):
        return [(each.relative_to(path.anchor).as_posix(), each) for each in matching(path)]
    if not path.is_dir():
        return [("", path)]
    files = ((each.relative_to(path), each) for each in sorted(path.rglob("*")) if each.is_file())
    return [(name.as_posix(), each) for name, each in files if not any(part.startswith(".") for part in name.parts)]
