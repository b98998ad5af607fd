"""What is doubtful about labels: classes that may be one, several labels in one, missing labels, the wrong column.

Each doubt is a sentence, with options to copy into the recipe where they settle it. Nothing is changed here: what is
sure is done in `labels`.
"""

from __future__ import annotations

import json
import re
import statistics
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from ftkit.data.class_names import shown_name
from ftkit.data.labels import Named
from ftkit.data.rows import Rows
from ftkit.formatting import count, listing, percent

MISSING = frozenset(("n/a", "na", "#n/a", "#na", "<na>", "null", "none", "nan", "nil", "undefined", "-", "--", "?"))
"""Texts that programs and people write where there is no label, in lower case."""

TRUTH = (("0", "1"), ("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"), ("off", "on"))
"""Ways to write a yes-or-no label, in lower case."""

SEPARATORS = "|;,/+&"
"""Characters between several labels in one text."""

MANY = 20
"""Different labels from which on they are looked at as values: numbers, dates, texts."""

_LOOKALIKES = str.maketrans(
    "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0458\u0455\u0501\u04bb\u043a\u043c\u0442\u0432\u043d"
    "\u03b1\u03bf\u03c1\u03c4\u03bd\u03b9\u03ba",
    "aceopxyijsdhkmtbhaoptvik",
)
"""Cyrillic and Greek letters that look like Latin ones, in lower case or as capitals."""
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})( .*)?")
_NUMBER = re.compile(r"[-+]?(\d+[.,]?\d*|[.,]\d+)([eE][-+]?\d{1,3})?")
_CODE = re.compile(r"(?=\S*\d)[\w#:@./-]+|\S+@\S+\.\w+|\w+://\S+")
_ZERO_ONE = ("0", "1", "0.0", "1.0", "true", "false", "True", "False")
_INVISIBLE = re.compile("[\u200c\u200d\ufe0f]")
_PUNCTUATION = " .,;:!?\"'\u2018\u2019\u201c\u201d\u2026\u3002"


def doubts(named: Named) -> list[str]:
    """What a reader of the data report should check, one sentence each."""
    rows = named.total()
    free = Counter({name: number for name, number in rows.items() if name not in named.listed})
    looks = column_doubt(named)
    return [
        *_alike(rows, free),
        *_truth(rows, free),
        *_several(rows, free),
        *_one_hot(named, free),
        *_missing(free),
        *_minus_one(free),
        *([looks] if looks else []),
    ]


def alike(name: str) -> str:
    """The form that two names share when a person may have meant the same class by them."""
    form = _same_script(name).translate(_LOOKALIKES)
    return str(Decimal(form.replace(",", ".")).normalize()) if _NUMBER.fullmatch(form) else form


def _same_script(name: str) -> str:
    """The same, yet without taking letters of different scripts for the same."""
    form = _INVISIBLE.sub("", unicodedata.normalize("NFKC", name).casefold())
    return re.sub(r"(?<=\w)[-_\s]+(?=\w)", " ", form.strip(_PUNCTUATION)) or form


def merge_proposal(names: Mapping[str, str]) -> str:
    """The recipe options that give labels the names of other classes."""
    pairs = ", ".join(f"{_toml(label)} = {_toml(name)}" for label, name in names.items())
    return f'labels = {{ {pairs} }} and unlisted = "keep"'


def without_proposal(names: Sequence[str]) -> str:
    """The recipe option that leaves labels out."""
    return f"without = [{', '.join(map(_toml, names[:10]))}{', …' if len(names) > 10 else ''}]"


def column_doubt(named: Named, *, rejected: bool = False) -> str:
    """A sentence where the labels look like another column than that of the classes, otherwise nothing.

    Where the classes have been `rejected`, whole numbers and codes are suspicious as well.
    """
    rows = named.total()
    if len(rows) < (MANY if not rejected else MANY // 2):
        return ""
    texts = [text for part in named.parts.values() for text in part.texts]
    label_length, text_length = (statistics.median(map(len, values)) for values in (rows, texts))
    kind, different = _kind(rows), f"{len(rows):,} different"
    if label_length > max(20, 1.5 * text_length) and (different_texts := len({*texts})) <= 2 * len(rows):
        return (
            f"The labels are long ({different}, {label_length:.0f} characters on the median) and the texts short "
            f"({different_texts:,} different, {text_length:.0f} characters): are text and label swapped?"
        )
    if kind == "numbers with decimals":
        return (
            f"The labels are {kind}, {different}: a quantity, not classes. ftkit does no regression: "
            f"make classes of ranges first, or name another column.{_columns(named)}"
        )
    crowded = rows.total() < 5 * len(rows)
    if kind == "dates" or (crowded and (rejected or kind in ("whole numbers with gaps", "long texts"))):
        look = f", and they look like {kind}" if kind else ""
        return f"There are {different} labels for {rows.total():,} rows{look}.{_columns(named)}"
    return ""


def _kind(names: Counter[str]) -> str:
    """What nearly all labels look like, in the plural; empty for ordinary names."""

    def share(pattern: re.Pattern[str]) -> float:
        return sum(pattern.fullmatch(name) is not None for name in names) / len(names)

    if share(_DATE) > 0.9:
        return "dates"
    if share(_NUMBER) > 0.9:
        numbers = [float(name.replace(",", ".")) for name in names if _NUMBER.fullmatch(name)]
        if sum(not number.is_integer() for number in numbers) > len(numbers) / 4:
            return "numbers with decimals"
        return "whole numbers" + " with gaps" * (max(numbers) - min(numbers) > 2 * len(numbers))
    if share(_CODE) > 0.9:
        return "codes or addresses"
    return "long texts" if statistics.median(map(len, names)) > 40 else ""


def _columns(named: Named) -> str:
    """The question for the right column."""
    rows = next(iter(named.parts.values()))
    if not rows.label_column:
        return " Are the labels read from the right field?"
    question = f" Is {rows.label_column!r} the right column for the labels?"
    columns = _first_values(rows)
    if not columns:
        return question
    question += f" The columns are {listing(columns, 12)}."
    few = [name for name, values in columns.items() if 1 < len({*values}) <= max(2, len(values) / 5)]
    few = [name for name in few if name != rows.label_column]
    return (
        f"{question} {shown_name(few[0])} has {len({*columns[few[0]]}):,} different values at the beginning."
        if few
        else question
    )


def _first_values(rows: Rows) -> dict[str, list[str]]:
    """The values of each column in the first rows, as text."""
    names = dict.fromkeys(name for row in rows.first_rows for name in row)
    return {name: [str(row[name]) for row in rows.first_rows if name in row] for name in names}


def _one_hot(named: Named, free: Counter[str]) -> Iterator[str]:
    rows = next(iter(named.parts.values()))
    if not rows.label_column or not free or not {*free} <= {*_ZERO_ONE}:
        return
    columns = [name for name, values in _first_values(rows).items() if {*values} <= {*_ZERO_ONE} and len({*values}) > 1]
    if len(columns) > 1 and rows.label_column in columns:
        yield (
            f"{shown_name(rows.label_column)} is one of {len(columns)} columns of zeros and ones "
            f"({listing(columns, 6)}): only this one is learnt. If together they are one label, write the name of the "
            "column that has the one into a single column; several labels for one text (multi-label data) are not "
            "supported."
        )


def _alike(rows: Counter[str], free: Counter[str]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for name in sorted(rows):
        groups.setdefault(alike(name), []).append(name)
    several = [group for group in groups.values() if len(group) > 1 and any(name in free for name in group)]
    if not several:
        return
    merged: dict[str, str] = {}
    for group in several:
        best = min(group, key=lambda name: (name in free, -rows[name], name))
        merged |= {name: best for name in group if name != best}
    shown = [" and ".join(f"{each} ({rows[name]:,})" for name, each in _told_apart(group[:4])) for group in several]
    subject = "These classes differ" if len(several) > 1 or len(several[0]) > 2 else "Two classes differ"
    proposal = merge_proposal(dict([*merged.items()][:24]))
    yield f"{subject} little and may be the same: {listing(shown, 4)}. If so, set {proposal}."


def _told_apart(group: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Names with what is shown of each: escapes where letters of different scripts look the same."""
    mixed = len({*map(_same_script, group)}) > 1 and not _NUMBER.fullmatch(alike(group[0]))
    yield from ((name, ascii(name) if mixed else shown_name(name)) for name in group)


def _truth(rows: Counter[str], free: Counter[str]) -> Iterator[str]:
    lower = {name.lower(): name for name in rows}
    ways = [pair for pair in TRUTH if not lower.keys().isdisjoint(pair)]
    if len(ways) < 2 or not free or not all(any(word in pair for pair in TRUTH) for word in lower.keys() - MISSING):
        return
    best = max(ways, key=lambda pair: sum(rows[lower[word]] for word in pair if word in lower))
    merged = {
        lower[word]: lower.get(best[index], best[index])
        for pair in ways
        if pair != best
        for index, word in enumerate(pair)
        if word in lower
    }
    shown = [f"{shown_name(name)} ({rows[name]:,})" for name in sorted(rows)]
    yield (
        f"The labels write yes and no in {len(ways)} ways, and are {len(rows)} classes: {listing(shown, 6)}. "
        f"If they are two, set {merge_proposal(merged)}."
    )


def _several(rows: Counter[str], free: Counter[str]) -> Iterator[str]:
    for separator in SEPARATORS:
        parts_of = {
            name: parts
            for name in free
            if separator in name and len(parts := [part.strip() for part in name.split(separator)]) > 1 and all(parts)
        }
        used = Counter(part for parts in parts_of.values() for part in {*parts})
        combined = {
            name: parts
            for name, parts in parts_of.items()
            if any(part in rows for part in parts) and all(part in rows or used[part] > 1 for part in parts)
        }
        if combined:
            number = sum(rows[name] for name in combined)
            example = min(combined, key=lambda name: (-rows[name], name))
            yield (
                f"{percent(number / rows.total())} of the rows ({number:,}) have a label that combines others by "
                f"{separator!r}, such as {shown_name(example)}: is this multi-label data? ftkit gives one label per "
                "text, and takes each combination for a class of its own. Keep one label in each row."
            )


def _missing(free: Counter[str]) -> Iterator[str]:
    names = sorted(name for name in free if name.lower() in MISSING)
    if names:
        shown = listing([f"{shown_name(name)} ({count(free[name], 'row')})" for name in names], 5)
        yield f"{shown} may mean that there is no label. If so, set {without_proposal(names)}."


def _minus_one(free: Counter[str]) -> Iterator[str]:
    others = {name for name in free if name != "-1"}
    if "-1" in free and len(others) > 2 and others == {str(number) for number in range(len(others))}:
        yield (
            f"The label -1 ({count(free['-1'], 'row')}) beside 0 to {len(others) - 1} marks rows without a label in "
            f"data of Hugging Face. If so here, set {without_proposal(['-1'])}."
        )


def _toml(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
