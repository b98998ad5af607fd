"""Tables that were damaged by chance give an error that says what, where and how, or rows that are all accounted for.

`FTKIT_DAMAGED_TABLES=2000` sets how many there are.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from ftkit_tables import Table

from ftkit.contracts import SPLITS, Data
from ftkit.data.cleaning import CONTRADICTORY, DUPLICATE
from ftkit.data.rows import DAMAGED
from ftkit.errors import DataError

COUNT = int(os.environ.get("FTKIT_DAMAGED_TABLES", "120"))
ROWS = 90
WORDS = (
    "parcel",
    "café",
    "invoice",
    "naïve",
    "refund",
    "übel",
    "broken",
    "price",
    "late",
    "物流",
    "хорошо",
    "👍",
    "screen",
    "arrived",
    "happy",
    "slow",
    "support",
)

Row = tuple[str, str]


@dataclass
class Sample:
    """A table as bytes, its rows, and what was done to it."""

    name: str
    content: bytes
    rows: Sequence[tuple[Row, bytes]]
    """Each row with the bytes that it is in the file; none in formats that are not text."""
    edits: int = 0
    done: list[str] = field(default_factory=list)


def texts(chance: random.Random, *, quotes: bool, lines: bool) -> list[Row]:
    """Different texts of three classes."""
    rows = []
    for index in range(ROWS):
        words = chance.choices(WORDS, k=chance.randint(4, 12))
        if quotes and index % 7 == 0:
            words.insert(2, '"so, they say"')
        if lines and index % 11 == 0:
            words.insert(3, "end.\nNext, line;")
        rows.append((" ".join([*words, f"no{index}"]), ("good", "bad", "odd")[index % 3]))
    return rows


def written(rows: Sequence[Row], **options: Any) -> list[bytes]:
    """The bytes of each row, the header first."""
    result = []
    for row in [("text", "label"), *rows]:
        buffer = io.StringIO(newline="")
        csv.writer(buffer, lineterminator="\n", **options).writerow(row)
        result.append(buffer.getvalue().encode())
    return result


def of_lines(name: str, lines: Sequence[bytes], rows: Sequence[Row], encoding: str = "utf-8") -> Sample:
    content = b"".join(lines)
    header = len(lines) - len(rows)
    if encoding != "utf-8":
        return Sample(name, content.decode().encode(encoding), [(row, b"") for row in rows])
    return Sample(name, content, [*zip(rows, lines[header:], strict=True)])


def json_lines(rows: Sequence[Row]) -> list[bytes]:
    return [json.dumps({"text": text, "label": label}, ensure_ascii=False).encode() + b"\n" for text, label in rows]


def parquet(rows: Sequence[Row]) -> bytes:
    buffer = io.BytesIO()
    table = pyarrow.table({"text": [text for text, _ in rows], "label": [label for _, label in rows]})
    pyarrow.parquet.write_table(table, buffer, write_page_checksum=True)
    return buffer.getvalue()


def sound(chance: random.Random) -> Sample:
    """A sound table in one of the forms that are read."""
    plain = texts(chance, quotes=False, lines=False)
    quoted = texts(chance, quotes=True, lines=False)
    rich = texts(chance, quotes=True, lines=True)
    forms: list[Callable[[], Sample]] = [
        lambda: of_lines("rows.csv", written(rich), rich),
        lambda: of_lines("rows.csv", written(rich, quoting=csv.QUOTE_ALL), rich),
        lambda: of_lines("rows.csv", written(rich, delimiter=";"), rich),
        lambda: of_lines("rows.csv", written(rich, doublequote=False, escapechar="\\"), rich),
        lambda: of_lines("rows.tsv", written(plain, delimiter="\t"), plain),
        lambda: of_lines("rows.tsv", [b"text\tlabel\n", *(f"{t}\t{n}\n".encode() for t, n in quoted)], quoted),
        lambda: of_lines("rows.csv", written(rich), rich, "utf-16"),
        lambda: of_lines("rows.jsonl", json_lines(rich), rich),
        lambda: Sample(
            "rows.json", json.dumps([{"text": t, "label": n} for t, n in rich]).encode(), [(row, b"") for row in rich]
        ),
        lambda: of_lines("rows.txt", [f"__label__{n} {t}\n".encode() for t, n in quoted], quoted),
        lambda: Sample("rows.parquet", parquet(rich), [(row, b"") for row in rich]),
        lambda: Sample("rows.csv.gz", gzip.compress(b"".join(written(rich))), [(row, b"") for row in rich]),
    ]
    return chance.choice(forms)()


def flip_bits(sample: Sample, chance: random.Random) -> None:
    content = bytearray(sample.content)
    for _ in range(count := chance.randint(1, 8)):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    sample.content, sample.edits = bytes(content), sample.edits + count


def cut(sample: Sample, chance: random.Random) -> None:
    sample.content = sample.content[: chance.randrange(len(sample.content) // 3, len(sample.content))]
    sample.edits += 1


def insert(*pieces: bytes) -> Callable[[Sample, random.Random], None]:
    def damage(sample: Sample, chance: random.Random) -> None:
        for _ in range(count := chance.randint(1, 4)):
            place = chance.randrange(len(sample.content))
            sample.content = sample.content[:place] + chance.choice(pieces) + sample.content[place:]
        sample.edits += count

    return damage


def insert_at_lines(*pieces: bytes) -> Callable[[Sample, random.Random], None]:
    def damage(sample: Sample, chance: random.Random) -> None:
        lines = sample.content.split(b"\n")
        for _ in range(count := chance.randint(1, 4)):
            place = chance.randrange(len(lines))
            lines[place] = chance.choice(pieces) + lines[place]
        sample.content, sample.edits = b"\n".join(lines), sample.edits + count

    return damage


def remove(piece: bytes) -> Callable[[Sample, random.Random], None]:
    def damage(sample: Sample, chance: random.Random) -> None:
        parts = sample.content.split(piece)
        if len(parts) > 2:
            place = chance.randrange(len(parts) - 1)
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
            sample.content, sample.edits = piece.join(parts), sample.edits + 1

    return damage


def mix_encodings(sample: Sample, chance: random.Random) -> None:
    lines = sample.content.split(b"\n")
    for place in chance.sample(range(len(lines)), k=min(5, len(lines))):
        lines[place] = lines[place].decode("utf-8", "ignore").encode("cp1252", "ignore")
        sample.edits += 1
    sample.content = b"\n".join(lines)


def repeat(sample: Sample, chance: random.Random) -> None:
    place = chance.randrange(len(sample.content))
    piece = sample.content[place : place + chance.randint(1, 400)]
    sample.content, sample.edits = sample.content[:place] + piece + sample.content[place:], sample.edits + 3


DAMAGES: list[Callable[[Sample, random.Random], None]] = [
    flip_bits,
    cut,
    insert(b'"'),
    insert_at_lines(b'"'),
    insert_at_lines(b"# a comment\n", b"\n\n", b"total: 90 rows\n"),
    insert(b",", b";", b"\t"),
    insert(b"\n", b"\r", b"\r\n"),
    insert(b"\0", b"\xff", b"\xef\xbb\xbf", b"\x1a", b"\\"),
    remove(b'"'),
    remove(b"\n"),
    remove(b","),
    mix_encodings,
    repeat,
]


def outcome(path: Path, max_damaged: float) -> Data | DataError:
    """What becomes of a file."""
    try:
        return Table(path=path, max_damaged=max_damaged, near_copies="ignored").load(7, lambda event: None)
    except DataError as error:
        return error


@pytest.mark.parametrize("seed", range(COUNT))
def test_a_damaged_table_is_refused_or_accounted_for(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    sample = sound(chance)
    for damage in chance.choices(DAMAGES, k=chance.choice((0, 1, 1, 1, 2))):
        damage(sample, chance)
    path = tmp_path / sample.name
    path.write_bytes(sample.content)
    data = outcome(path, chance.choice((0.01, 0.1, 1.0)))
    if isinstance(data, DataError):
        assert sample.edits, f"a sound file is refused: {data}"
        assert data.what
        assert str(path) in data.where
        assert data.hint
        return
    parts = [getattr(data, name) for name in SPLITS]
    kept = {(text, data.classes[label]) for part in parts for text, label in zip(part.texts, part.labels, strict=True)}
    dropped = data.report.dropped
    assert data.report.rows_read == len(kept) + sum(dropped.values())
    truth = {row for row, _ in sample.rows}
    invented = kept - truth
    # an edit may change the text of one row, or make two of it, and nobody can tell
    assert len(invented) <= 2 * sample.edits, f"texts that the file does not have: {sorted(invented)[:3]}"
    content = b"\n" + sample.content.replace(b"\r\n", b"\n")
    lost = {row for row, line in sample.rows if line and b"\n" + line in content} - kept
    counted = sum(dropped.get(reason, 0) for reason in (DAMAGED, DUPLICATE, CONTRADICTORY))
    assert len(lost) <= counted, (
        f"rows that are whole in the file are lost, and {counted} are counted: {sorted(lost)[:3]}"
    )
    if not sample.edits:
        assert kept == truth


@pytest.mark.parametrize("second", ['"text": "another"', '"label": "bad"', '"te\\u0078t": "another", "text": "x"'])
def test_a_row_that_has_a_key_twice_is_damaged(tmp_path: Path, second: str) -> None:
    lines = [f'{{"text": "a text {row}", "label": "{("good", "bad")[row % 2]}"}}' for row in range(200)]
    lines[7] = f'{{"text": "a text", "label": "good", {second}}}'
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    report = Table(path=tmp_path / "rows.jsonl").load(7, lambda event: None).report
    assert report.dropped == {DAMAGED: 1}
    assert list(report.damaged_lines) == [8]
    (tmp_path / "rows.json").write_text(f"[{','.join(lines)}]")
    with pytest.raises(DataError, match="is there twice"):
        Table(path=tmp_path / "rows.json").load(7, lambda event: None)


def test_a_text_with_the_name_of_its_column_in_it_is_no_key_twice(tmp_path: Path) -> None:
    lines = [
        json.dumps({"text": f'the "text" and "label" {row}', "label": ("good", "bad")[row % 2]}) for row in range(60)
    ]
    lines += [f'{{"text": "in {{\\"text\\": {row}}}", "label": "good", "more": {{"text": 1}}}}' for row in range(60)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    assert not Table(path=tmp_path / "rows.jsonl").load(7, lambda event: None).report.dropped
