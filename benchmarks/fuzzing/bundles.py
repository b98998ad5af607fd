"""Bundles with changed, missing, further and strange files: refused, unless what was changed cannot matter."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from benchmarks.fuzzing.families import Case, Outcome, Silent
from benchmarks.fuzzing.mutations import another_value, damaged, one_byte_changed, written
from benchmarks.fuzzing.served import MODELS, Served

HOSTILE = (
    "../outside.txt",
    "/etc/passwd",
    "model/../../x",
    "a\\b",
    "a\0b",
    ".",
    "..",
    "",
    "model",
    "x" * 300,
    "\ud83d",
    "model/./weights.npy",
)
"""Names that a manifest should not list."""

Damage = Callable[[Path], None]


class Cases:
    """Copies of bundles, with and without a promotion record."""

    def __init__(self, folder: Path) -> None:
        self._served = Served(folder)
        self._copy = folder / "copy"
        (folder / "outside.txt").write_text("outside")

    def close(self) -> None:
        """Take the toys away."""
        self._served.close()

    def case(self, random: Random) -> Case:
        """A bundle with one kind of damage."""
        source = self._served.bundles[random.choice(MODELS)].folder
        recorded = random.random() < 0.7
        what, damage = random.choice((_changed_byte, _changed_byte, _manifest, _manifest, _manifest, _files))(
            random, source
        )

        def read() -> Outcome:
            _remove(self._copy)
            shutil.copytree(source, self._copy)
            if not recorded:
                (self._copy / "promotion.json").unlink()
            damage(self._copy)
            return opened(self._copy, source)

        return Case(f"{source.name}, record: {recorded}; {what}", read)


def opened(folder: Path, source: Path) -> Outcome:
    """Open a bundle and ask it everything. Raises: Silent where it is not what its source is."""
    from ftkit.bundle import bundle as bundles
    from ftkit.bundle.manifest import fields_of

    fields_of(folder)
    bundle = bundles.verify(folder)
    record, _ = bundle.record, bundle.passed
    asked = [
        bundle.classes,
        bundle.task,
        bundle.fields,
        bundle.rule,
        bundle.sample_request,
        bundle.recipe,
        bundle.engines,
    ]
    text: list[str] | list[tuple[str, str]] = [("broke", "bright")] if len(bundle.fields) > 1 else ["broke"]
    asked.append(bundle.predict(text))
    true = bundles.verify(source)
    if record is not None and record != true.record:
        raise Silent("the record is another one")
    wanted = [
        true.classes,
        true.task,
        true.fields,
        true.rule,
        true.sample_request,
        true.recipe,
        true.engines,
        true.predict(text),
    ]
    if "digest" not in bundle.manifest:
        return "accepted"  # as that of an older ftkit: a single change leaves the digest or all other entries
    if asked != wanted:
        raise Silent(f"the bundle is another one\n{asked}\n{wanted}")
    if record is not None:
        bundles.cleared(folder)
    if bundle.manifest != true.manifest:
        raise Silent(f"the manifest is another one\n{bundle.manifest}\n{true.manifest}")
    names = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    if names - {path.relative_to(source) for path in source.rglob("*")}:
        raise Silent(f"there are further files\n{names}")
    return "accepted"


def _changed_byte(random: Random, source: Path) -> tuple[str, Damage]:
    name = random.choice(sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()))
    change = one_byte_changed if random.random() < 0.7 else damaged
    content = change(random, (source / name).read_bytes())
    return f"{change.__name__} {name}: {content[:800]!r}", lambda folder: _write(folder / name, content)


def _manifest(random: Random, source: Path) -> tuple[str, Damage]:
    """A manifest of another structure; its hash is not that of the record then."""
    table = json.loads((source / "manifest.json").read_text(encoding="utf-8"))
    if random.random() < 0.2:
        table["files"][random.choice(HOSTILE)] = random.choice(("0" * 64, "", None, 3))
    else:
        table = another_value(random, table)
    content = written(table, random.choice((None, 2)))
    return f"manifest {content[:2000]!r}", lambda folder: _write(folder / "manifest.json", content)


def _files(random: Random, source: Path) -> tuple[str, Damage]:
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*"))
    name, other = random.choice(names), random.choice(names)
    odd = random.choice(
        ("x", ".hidden", "model/x.pkl", "model/new/deep/x", "é\u0301", "a\nb", "x" * 200, "model/weights.npy.bak")
    )
    damages: dict[str, Damage] = {
        f"no {name}": lambda folder: _remove(folder / name),
        f"further {odd!r}": lambda folder: _further(folder / odd),
        f"{name} is a link": lambda folder: _link(folder / name, folder.parent / "outside.txt"),
        f"{name} is a link to its source": lambda folder: _link(folder / name, source / name),
        f"{name} is a loop": lambda folder: _link(folder / name, folder / name),
        f"{odd!r} is a link": lambda folder: _link(folder / odd.replace("/", "_"), Path("/etc")),
        f"{name} is a folder": lambda folder: _in_its_place(folder / name, Path.mkdir),
        f"{name} is a pipe": lambda folder: _in_its_place(folder / name, os.mkfifo),
        f"{name} in the place of {other}": lambda folder: _exchange(folder / name, folder / other),
        f"{name} is empty": lambda folder: _write(folder / name, b"") if (folder / name).is_file() else None,
        "no folder": lambda folder: shutil.rmtree(folder),
        "a file": lambda folder: _in_its_place(folder, lambda path: path.write_text("x")),
        f"{name} in capitals": lambda folder: _renamed(folder / name),
        "an empty folder": lambda folder: (folder / "empty").mkdir(),
    }
    what = random.choice([*damages])
    return what, damages[what]


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _in_its_place(path: Path, make: Callable[[Path], object]) -> None:
    _remove(path)
    make(path)


def _renamed(path: Path) -> None:
    if path.exists():
        path.rename(path.with_name(path.name.upper()))


def _further(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"cos\nsystem\n(S'true'\ntR.")


def _link(path: Path, target: Path) -> None:
    if path.exists():
        _remove(path)
    path.symlink_to(target)


def _exchange(one: Path, other: Path) -> None:
    if one.is_file() and other.is_file():
        first, second = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        other.write_bytes(first)
