"""What is probably wrong with texts that were read: a wrong encoding, control characters, a column that is no text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ftkit import formatting, pairs
from ftkit.data.rows import Rows
from ftkit.data.texts import Texts
from ftkit_tables.encodings import reads_as_utf8

LOOKED_AT = 20_000
"""How many texts are looked at, evenly over the file."""
GARBLED = 0.005
"""Share of the texts above which garbled ones are reported."""

_C1 = re.compile("[\x80-\x84\x86-\x9f]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f]")
_LATIN = re.compile("[\x80-\xff]")
_LETTER = re.compile(r"[^\W\d_]")


def inspect(rows: Rows, path: Path, columns: Sequence[str], *, repair: bool) -> None:
    """Add warnings to rows; with `repair`, repair texts in UTF-8 that were decoded as another encoding."""
    if repair:
        _repair(rows, path)
    step = max(1, len(rows.texts) // LOOKED_AT)
    texts = rows.texts[::step]
    others = [text for text in texts if not text.isascii()]
    share = f"of {len(texts):,} texts" + (" looked at" if step > 1 else "")
    encoding = rows.form.get("encoding", "")
    if count := sum(_C1.search(text) is not None for text in others):
        cure = (
            'set encoding = "cp1252"'
            if encoding.lower().replace("_", "-") in ("latin-1", "latin1", "iso-8859-1", "iso8859-1", "l1")
            else "they were decoded as latin-1 and are probably cp1252: mend them where they come from"
        )
        rows.warnings.append(
            f"{path.name}: {count:,} {share} have control characters (U+0080 to U+009F) where cp1252 has quotes and dashes: {cure}."
        )
    if controls := [control[0] for text in texts if (control := _CONTROL.search(text))]:
        names = formatting.listing(sorted({f"U+{ord(char):04X}" for char in controls}), 4)
        rows.warnings.append(
            f"{path.name}: {len(controls):,} {share} have control characters ({names}); they were kept."
        )
    if (count := _garbled([text for text in others if not _C1.search(text)])) > GARBLED * len(texts):
        cure = (
            "leave out encoding: the file is UTF-8"
            if encoding and not encoding.startswith("utf") and reads_as_utf8(path)
            else "set repair = true, or mend them where they come from"
        )
        rows.warnings.append(
            f"{path.name}: {formatting.percent(count / len(texts))} {share} look like UTF-8 that was decoded as another encoding "
            f"(\u00c3\u00a9 for \u00e9): {cure}."
        )
    filled = [text for text in texts if text and not text.isspace()]
    if (count := sum(_LETTER.search(text) is None for text in filled)) > len(filled) / 2:
        rows.warnings.append(
            f"{path.name}: {formatting.percent(count / len(filled))} {share} have no letter. Is {' and '.join(map(repr, columns))} the column with the texts?"
        )


def _garbled(texts: Sequence[str]) -> int:
    """How many texts are UTF-8 that was decoded as another encoding."""
    suspects = [text for text in texts if _LATIN.search(text)]
    if not suspects:
        return 0
    from ftfy.badness import is_bad

    return sum(map(is_bad, suspects))


def _repair(rows: Rows, path: Path) -> None:
    from ftfy import fix_encoding

    texts, count = Texts(), 0
    for text in rows.texts:
        repaired = text if text.isascii() else pairs.changed(text, fix_encoding)
        texts.append(repaired)
        count += repaired != text
    rows.texts = texts
    rows.notes.append(f"{path.name}: the encoding of {count:,} texts was repaired.")
