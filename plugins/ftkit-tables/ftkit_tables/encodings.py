"""Which character encoding a file has, and what to do about bytes that do not fit."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ftkit.data.unpacking import open_data
from ftkit.errors import DataError
from ftkit.formatting import beginning

MARK = "\udcff"
"""Stands in a decoded text for bytes that do not fit: no encoding gives this character."""

BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Encodings by the byte order mark; that of UTF-32 before that of UTF-16, with which it begins."""

CANDIDATES = (
    "cp1252", "cp1251", "gb18030", "cp932", "euc_jp", "cp949", "big5", "cp1250", "iso8859_2", "koi8_r", "cp1253", "cp1254",
    "cp1256", "cp1255", "cp874", "mac_roman", "cp850", "cp437",
)  # fmt: skip
"""Encodings that may be proposed, the more frequent ones first."""

RARE = {"mac_roman": 0.05, "cp850": 0.1, "cp437": 0.1}
"""By how much the text must look better in encodings that few files have."""

COHERENCE = 0.2
"""How much it counts that the letters are as frequent as in a language."""

JAPANESE = 0.1
"""How much it counts that a text has the hiragana of Japanese."""

DOUBT = 0.06
"""Two encodings that differ less are both shown."""

SAMPLE_BYTES = 2**16
"""How much of the lines that do not fit is looked at to propose an encoding."""


class Marks:
    """Counts the bytes that did not fit, in all files: while it stands still, no text has a mark."""

    count = 0


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    Marks.count += 1
    return MARK, error.end


MARKING = "ftkit-mark"
codecs.register_error(MARKING, _mark)


def decide(option: str, head: bytes, path: Path) -> str:
    """The encoding of a text file that begins with these bytes, as Python names it. Raises: DataError."""
    detected = next((name for bom, name in BOMS.items() if head.startswith(bom)), "") or _wide(head)
    if option != "auto":
        name = codecs.lookup(option).name
        if name in ("utf-16", "utf-32") and not detected.startswith(name):
            raise DataError(
                f"byte 0 is not {option}: the file does not begin with the mark of {option}",
                where=f"{path}:1",
                hint=f'Leave out encoding, or set encoding = "{detected.removesuffix("-sig") or "utf-8"}".',
            )
        return "utf-8-sig" if name == "utf-8" else detected if name in ("utf-16", "utf-32") else option
    controls = sum(head.count(bytes([byte])) for byte in (*range(9), *range(14, 27), *range(28, 32)))
    if not detected and controls > 0.1 * len(head):
        raise DataError(
            "this is a binary file: it is neither text nor parquet",
            where=str(path),
            hint="Give a csv, tsv, JSON or parquet file.",
        )
    if not detected and (b"\x1b$B" in head or b"\x1b$@" in head):
        return "iso2022_jp"
    return detected or "utf-8"


def _wide(head: bytes) -> str:
    """UTF-16 or UTF-32 without a byte order mark: NUL bytes in a pattern, and line ends and spaces when it is decoded."""
    if head.count(0) < max(2, len(head) / 200):
        return ""
    scores: dict[str, float] = {}
    for name in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        try:
            text = head[: len(head) // 4 * 4].decode(name, "strict" if name.startswith("utf-32") else "replace")
        except UnicodeDecodeError:
            continue
        odd = sum(
            unicodedata.category(char) in ("Cc", "Cn", "Co", "Cs") and char not in "\t\r\n" for char in text[:20_000]
        )
        if odd <= 0.02 * len(text[:20_000]) and "\n" in text.replace("\r", "\n"):
            scores[name] = sum(map(text.count, "\n\t ,;"))
    return max(scores, key=lambda name: scores[name], default="")


@dataclass
class Misfits:
    """The lines of a file that do not fit an encoding, compared with those that do."""

    first: str = ""
    """The first byte that does not fit, for a sentence."""
    line: int = 1
    """The number of its line."""
    count: int = 0
    """Lines that do not fit."""
    fitting: int = 0
    """Lines that fit and have other characters than ASCII."""
    sample: list[bytes] = field(default_factory=list)
    """The first lines that do not fit, without line ends."""

    @property
    def stray(self) -> bool:
        """Whether the encoding is right, and only some lines are damaged."""
        return self.fitting >= self.count


def misfits(path: Path, encoding: str) -> Misfits:
    """Compare every line of a file with an encoding in which a line end is one byte. Raises: DataError."""
    result, place, size = Misfits(), 0, 0
    with open_data(path) as (content, _):
        for number, line in enumerate(content, 1):
            if not line.isascii():
                try:
                    line.decode(encoding)
                    result.fitting += 1
                except UnicodeDecodeError as error:
                    if not result.count:
                        result.first = f"byte {place + error.start:,} (0x{line[error.start]:02x})"
                        result.line = number
                    result.count += 1
                    if size < SAMPLE_BYTES:
                        result.sample.append(line.strip()[:SAMPLE_BYTES])
                        size += len(line)
            place += len(line)
    return result


def proposed(path: Path, lines: Sequence[bytes], failed: str) -> list[str]:
    """Encodings that decode the whole file, and in which these lines of it look like language: the best one, and a second
    one if it looks nearly as good and reads the first line differently. Empty if there is none.

    Raises: DataError.
    """
    scores = {"utf-8": -1.0} | _scores(b"\n".join(lines))
    names = sorted(scores, key=lambda name: (scores[name], CANDIDATES.index(name) if name in CANDIDATES else -1))
    names = [name for name in names if name != codecs.lookup(failed).name and _decodes(path, name)]
    rivals = [
        name
        for name in names[1:]
        if scores[name] <= scores[names[0]] + DOUBT
        and lines[0].decode(name, "replace") != lines[0].decode(names[0], "replace")
    ]
    return names[:1] + rivals[:1]


def undecodable(path: Path, encoding: str, rows: str) -> DataError:
    """The error for a file of which many rows do not fit the encoding. Raises: DataError."""
    shown = encoding.removesuffix("-sig")
    if codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):
        return DataError(
            f"{rows} are not {shown}", where=str(path), hint="The file is damaged or cut off: fetch it again."
        )
    lines = misfits(path, encoding)
    return DataError(
        f"{rows} are not {shown}: {lines.first} is not {shown}",
        where=f"{path}:{lines.line}",
        hint=cure(path, encoding, lines),
    )


def cure(path: Path, encoding: str, lines: Misfits) -> str:
    """What to do about lines that do not fit: an encoding is proposed only after it has read the whole file."""
    if lines.stray:
        return f"The other {lines.fitting:,} lines with such characters fit: mend these lines, or raise max_damaged to leave them out."
    if names := proposed(path, lines.sample, encoding):
        shown = [f"this line as {_shown(lines.sample[0], name)!r}" for name in names]
        if len(names) == 1:
            return f'encoding = "{names[0]}" reads the whole file, and {shown[0]}: set it if that is right.'
        return (
            f'encoding = "{names[0]}" reads the whole file, and {shown[0]}; encoding = "{names[1]}" reads {shown[1]}: '
            "set the one that is right."
        )
    return (
        "No other encoding fits the whole file: write it anew as UTF-8, or raise max_damaged to leave these lines out."
    )


def _shown(line: bytes, encoding: str) -> str:
    """The part of a line around its first character beyond ASCII."""
    text = line.decode(encoding, "replace")
    first = next((place for place, char in enumerate(text) if not char.isascii()), 0)
    return ("\u2026" if first > 20 else "") + beginning(text[max(0, first - 20) :], 50)


def reads_as_utf8(path: Path) -> bool:
    """Whether a whole file is UTF-8. Raises: DataError."""
    return _decodes(path, "utf-8")


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with open_data(path) as (content, _):
            while chunk := content.read(2**20):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def _scores(sample: bytes) -> dict[str, float]:
    """How little a sample looks like language, by encoding; the least is the best."""
    from charset_normalizer import from_bytes

    results = from_bytes(sample, cp_isolation=[*CANDIDATES], threshold=0.3, enable_fallback=False)
    scores: dict[str, float] = {}
    for match in results:
        for name in match.could_be_from_charset:
            if name in CANDIDATES:
                text = sample.decode(name)
                evidence = COHERENCE * match.coherence + (JAPANESE if _is_japanese(text) else 0)
                scores[name] = round(match.chaos + _oddity(text) + RARE.get(name, 0) - evidence, 2)
    return scores


def _is_japanese(text: str) -> bool:
    """Whether the text has as many hiragana as only Japanese has: other bytes do not give these by chance."""
    letters = sum(not char.isascii() for char in text)
    return sum("\u3041" <= char <= "\u309f" for char in text) > 0.25 * letters


def _oddity(text: str) -> float:
    """Share of the characters beyond ASCII that no language puts there: symbols and capitals inside words, mixed scripts."""
    odd = total = 0
    for before, char, after in zip(text, text[1:], text[2:], strict=False):
        if char.isascii():
            continue
        total += 1
        between = before.isalpha() and after.isalpha() and unicodedata.east_asian_width(char) not in "WF"
        if (
            unicodedata.category(char)[0] == "C"
            or (between and not char.isalpha() and char not in "\u2019\u00b7\u00ad")
            or (
                before.isalpha()
                and (char.isalpha() or unicodedata.category(char) == "Mn")
                and ((before.islower() and char.isupper()) or _script(char) not in (_script(before), "COMBINING"))
            )
        ):
            odd += 1
    return odd / total if total else 0.0


def _script(char: str) -> str:
    name = unicodedata.name(char, "")
    return "CJK" if name.startswith(("CJK", "HIRAGANA", "KATAKANA")) else name.partition(" ")[0]
