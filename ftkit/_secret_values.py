"""Where the value of a secret name begins and ends, for `ftkit.redaction`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ftkit import _secret_patterns as patterns

__all__ = ["Pair", "Span", "read_pair", "value_at", "values"]

Span = tuple[int, int]
"""Start and end of a part of a text."""


class Pair(NamedTuple):
    """A name and its separator in a text, and what surrounds them."""

    match: re.Match[str]
    kind: str
    query: bool  # a parameter of a query string
    tuple_: bool  # `("name", "value")`
    line_start: bool  # also behind `,`, `;` and `{`
    previous: str  # the text just before the name

    @property
    def separator(self) -> str:
        """What stands between name and value: `=`, `:` …"""
        return self.match["separator"]


def read_pair(text: str, match: re.Match[str]) -> Pair:
    """What a match of `patterns.PAIR` says about its name; `kind` is "" for a name of nothing secret."""
    escape, name, start = match["escape"] or "", match["name"], match.start("name")
    kind = patterns.kind_of(name)
    if not kind and escape.startswith("\\"):
        kind = patterns.kind_of(escape[1:] + name)  # `C:\token` has no tabulator
    if not kind:
        return Pair(match, "", False, False, False, "")
    previous = text[max(0, start - 30) : start]
    query = previous.endswith(("?", "&", "&amp;", "&#38;")) or (
        escape[-2:].lower() in ("26", "3f") and escape[0] != "\x1b"
    )
    if kind == "key" and re.search(r"(?i)(?:api|access|account|shared|private|client|subscription)\s\Z", previous):
        kind = "secret"
    tuple_ = re.search(r"""[(\[]\s?[bu]?\\*["'`]\Z""", previous) is not None
    line_start = not previous.rstrip(" \t-")[-1:].strip("\n,;{")
    return Pair(match, kind, query, tuple_, line_start, previous)


def values(text: str, pair: Pair) -> Iterator[Span]:
    """The parts of a text that are the value of a name: one, or the strings of a list."""
    match, separator, position = pair.match, pair.separator, pair.match.end()
    lines = text.count("\n", match.end("separator"), position)
    if lines > 1 or (lines and re.compile(patterns.NEXT_NAME).match(text, position)):
        return  # the name has no value, and the next line is another name
    opening = patterns.verbose(patterns.OPENING).match(text, position)
    if opening is None and text[position] in "[(" and pair.kind in patterns.ALWAYS:
        inner = re.compile(r"[\[(]+\s*").match(text, position)
        position = inner.end() if inner else position
        while item := patterns.verbose(patterns.OPENING).match(text, position):
            start, end = _credentials(text, pair, position, item) if pair.kind == "header" else _quoted(text, item)
            yield start, end
            comma = re.compile(rf"{patterns.QUOTE}\s*,\s*", re.VERBOSE).match(text, end)
            if comma is None:
                return
            position = comma.end()
        if position == len(text):
            return
    if opening is None and separator == ",":
        return
    if pair.kind == "header":
        yield _credentials(text, pair, position, opening)
    elif opening is None and pair.kind == "cookie":
        if "=" in text[position : position + 200]:
            yield position, _line_end(text, pair.previous, position)
    elif block := re.compile(patterns.BLOCK).match(text, position):
        content = block[1].rstrip()
        yield block.start(1) + len(content) - len(content.lstrip()), block.start(1) + len(content)
    else:
        level = len(match["level"] or "") // 2 if separator.startswith("%") else None
        if pair.kind in ("key", "name", "login", "parameter") and not pair.query and opening is None:
            # Most of these are no secrets and are read again from their start: a bound keeps the time linear.
            start, end = value_at(text[position : position + 520], 0, pair.query, level)
            start, end = start + position, end + position
        else:
            start, end = value_at(text, position, pair.query, level)
        if opening is None and level is None and not pair.query:
            end = _spaced_end(text, pair, start, end)
        yield start, end


def _spaced_end(text: str, pair: Pair, start: int, end: int) -> int:
    """Where a value without quotes ends that may hold spaces: in a connection string, and as a pass phrase in YAML."""
    if pair.separator == "=" and (pair.kind == "password" or pair.previous.rstrip().endswith(";")):
        space = r"\s*" if pair.previous.rstrip().endswith(";") else ""
        rest = re.compile(rf"[^;\n\"'=]{{1,80}}(?=;{space}(?:[A-Za-z][\w ]{{0,40}}=|\Z|[\"'\n]))").match(text, end)
        return rest.end() if rest else end
    word = text[start:end]
    if (
        pair.kind == "password"
        and pair.line_start
        and pair.match["name"].islower()
        and word.isalpha()
        and word not in patterns.ENGLISH
    ):
        rest = re.compile(r"(?:[ \t]+[A-Za-z]+)+(?=\s*(?:\n|\Z|#))").match(text, end)
        return rest.end() if rest else end
    return end


def value_at(text: str, position: int, query: bool = False, level: int | None = None) -> Span:
    """The value that begins at a position, without its quotes; `level` counts how often the text is url-encoded."""
    if opening := patterns.verbose(patterns.OPENING).match(text, position):
        return _quoted(text, opening)
    if level is not None:
        return position, _end(text, position, re.compile(patterns.ENCODED_STOP % level))
    end = _end(text, position, re.compile(patterns.QUERY_STOP) if query else patterns.verbose(patterns.PLAIN_STOP))
    while wrapped := re.compile(patterns.WRAPPED).match(text, end):
        end = wrapped.end()
    value = text[position:end]
    # The brackets and the full stop that follow a value belong to the sentence.
    return position, position + len(value.rstrip(".,:?" if re.search(r"[(\[{]", value) else ".,:?)]}"))


def _end(text: str, position: int, stop: re.Pattern[str]) -> int:
    match = stop.search(text, position)
    return match.start() if match else len(text)


def _line_end(text: str, previous: str, position: int) -> int:
    """Where an unquoted header ends: with its line, or with the string that holds nothing else."""
    stop = patterns.LINE_STOP if previous[-1:] in ('"', "'") else r"\r?\n|\\r|\\n|\x1b"
    return _end(text, position, patterns.verbose(stop))


def _quoted(text: str, opening: re.Match[str]) -> Span:
    """The inside of a string with quotes of any kind, escaped any number of times."""
    start, quote = opening.end(), opening["quote"]
    mark = quote.lstrip("\\")
    depth = len(quote) - len(mark)
    line_end = text.find("\n", start)
    line_end = len(text) if line_end < 0 else line_end
    if mark[0] not in "\"'`":
        end = text.find({"“": "”", "‘": "’"}.get(quote, quote), start, line_end)
        return start, _end(text, start, re.compile(r"[\s&<>]")) if end < 0 else end
    position, limit, first = start, max(line_end, start + 20_000), 0
    while (position := text.find(mark, position, limit)) >= 0:
        edge = position
        while edge > start and text[edge - 1] == "\\":
            edge -= 1
        escapes, after = position - edge, text[position + len(mark) : position + len(mark) + 1]
        position += len(mark)
        if escapes >= depth and (escapes - depth) % (2 * depth + 2):
            continue  # an escaped quote inside
        ending = position - len(mark) - min(escapes, depth)
        if ending > line_end and (after.isalnum() or after == "_"):
            break  # this quote begins another string: ours was cut
        if after.isalnum() or after == "_":
            limit = min(limit, first + 300) if (first := first or position) else limit
            continue  # `'it's'`
        if after == mark and depth == 0:
            position += 1  # a doubled quote is a quote inside
            if position - 2 == start:
                return start, start
            continue
        again = re.escape(quote)
        following = re.compile(rf"\s*\n\s*{again}(?=[^\n]*{again}\s*[,)}}\]\n])")
        if next_line := following.match(text, position):  # a long string that pprint has broken
            position = next_line.end()
            continue
        return start, ending
    return start, line_end


def _credentials(text: str, pair: Pair, position: int, opening: re.Match[str] | None) -> Span:
    """The value of an Authorization header, without the name of its scheme."""
    if opening:
        start, end = _quoted(text, opening)
        schemes = (re.compile(each).match(text, start, end) for each in (patterns.SCHEME, patterns.LONG_SCHEME))
        scheme = next(filter(None, schemes), None)
        return (scheme.end() if scheme and scheme.end() < end else start), end
    scheme = re.compile(patterns.SCHEME).match(text, position)
    start = scheme.end() if scheme else position
    if scheme and "\n" in scheme[0] and re.compile(r"[\w-]+:\s").match(text, start):
        return start, start  # the next header
    if scheme is None and (scheme := re.compile(patterns.LONG_SCHEME).match(text, position)):
        word = scheme[0].strip().lower()
        if word not in patterns.ENGLISH and word not in patterns.HARMLESS:
            return scheme.end(), _line_end(text, pair.previous, scheme.end())
    end = value_at(text, start)[1]
    folded = re.compile(r"\r?\n[ \t]+[A-Za-z0-9_.~+/=-]+(?=\s*(?:\n|\Z))").match(text, end)
    return start, folded.end() if folded else end
