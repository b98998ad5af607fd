"""What is doubtful about labels: classes that may be one, several labels in one, missing labels.

Each doubt is a sentence, with options to copy into the recipe where they settle it. Nothing is changed here: what is
sure is done in `labels`.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from ftkit.data.class_names import shown_name
from ftkit.data.label_column import NUMBER, column_doubt, one_hot_doubt
from ftkit.data.labels import Named
from ftkit.data.several_labels import SEPARATORS, combined
from ftkit.formatting import count, listing, percent

MISSING = frozenset(("n/a", "na", "#n/a", "#na", "<na>", "null", "none", "nan", "nil", "undefined", "--", "?"))
"""Texts that programs and people write where there is no label, in lower case."""

TRUTH = (("0", "1"), ("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"), ("off", "on"))
"""Ways to write a yes-or-no label, in lower case."""

MOST_MERGED = 24
"""Labels that a proposal maps: a longer one is no sentence."""

_LOOKALIKES = str.maketrans(
    "\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0458\u0455\u0501\u04bb\u043a\u043c\u0442\u0432\u043d"
    "\u03b1\u03bf\u03c1\u03c4\u03bd\u03b9\u03ba",
    "aceopxyijsdhkmtbhaoptvik",
)
"""Cyrillic and Greek letters that look like Latin ones, in lower case or as capitals."""
_INVISIBLE = re.compile("[\u200c\u200d\ufe0f]")
_PUNCTUATION = " .,;:!?\"'\u2018\u2019\u201c\u201d\u2026\u3002"


def doubts(named: Named, *, several: bool = False) -> list[str]:
    """What a reader of the data report should check, one sentence each; `several` where a text can have several labels."""
    rows = named.total()
    free = Counter({name: number for name, number in rows.items() if name not in named.listed})
    looks = column_doubt(named)
    return [
        *_alike(rows, free),
        *_truth(rows, free),
        *([] if several else _several(rows, free)),
        *([] if several else one_hot_doubt(named, free)),
        *_missing(named, free, several=several),
        *_minus_one(free),
        *([looks] if looks else []),
    ]


def alike(name: str) -> str:
    """The form that two names share when a person may have meant the same class by them."""
    form = _same_script(name).translate(_LOOKALIKES)
    number = len(form) < 100 and NUMBER.fullmatch(form)
    return str(Decimal(form.replace(",", ".")).normalize()) if number else form


def _same_script(name: str) -> str:
    """The same, yet without taking letters of different scripts for the same."""
    form = _INVISIBLE.sub("", unicodedata.normalize("NFKC", name).casefold())
    bare = form.strip(_PUNCTUATION)
    return re.sub(r"(?<=\w)[-_](?=\w)", " ", bare if any(map(str.isalnum, bare)) else form)


def meant_classes(labels: Iterable[str], known: Sequence[str]) -> dict[str, str]:
    """The known class that each label is probably meant to be, alike or with a slip in writing; no others."""
    by_form = {alike(name): name for name in known}
    words = [name for name in known if not any(map(str.isdigit, name))]
    meant: dict[str, str] = {}
    for label in labels:
        if name := by_form.get(alike(label)):
            meant[label] = name
        elif len(label) > 4 and not any(map(str.isdigit, label)):
            near = difflib.get_close_matches(label, words, 1, 0.85)
            if near:
                meant[label] = near[0]
    return meant


def merge_proposal(names: Mapping[str, str]) -> str:
    """The recipe options that give labels the names of other classes."""
    pairs = ", ".join(f"{_toml(label)} = {_toml(name)}" for label, name in [*names.items()][:MOST_MERGED])
    return f'labels = {{ {pairs} }} and unlisted = "keep"'


def without_proposal(names: Sequence[str]) -> str:
    """The recipe option that leaves labels out."""
    return f"without = [{', '.join(map(_toml, names[:10]))}{', …' if len(names) > 10 else ''}]"


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
    yield f"{subject} little and may be the same: {listing(shown, 4)}. If so, set {merge_proposal(merged)}."


def _told_apart(group: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Names with what is shown of each: escapes where letters of different scripts look the same."""
    mixed = len({*map(_same_script, group)}) > 1 and not NUMBER.fullmatch(alike(group[0]))
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
        names = [name for name, parts in combined(free, rows, separator).items() if any(part in rows for part in parts)]
        if names:
            number = sum(rows[name] for name in names)
            example = min(names, key=lambda name: (-rows[name], name))
            yield (
                f"{percent(number / rows.total())} of the rows ({number:,}) have a label that combines others by "
                f"{separator!r}, such as {shown_name(example)}, and each combination is a class of its own. If a text can have "
                f'several labels, set task = "multi-label" and separator = "{separator}".'
            )


def _missing(named: Named, free: Counter[str], *, several: bool) -> Iterator[str]:
    column = next(iter(named.parts.values())).label_column
    if column in free and len(free) > 2:
        have = "has" if free[column] == 1 else "have"
        yield (
            f"{count(free[column], 'row')} {have} the column's name {shown_name(column)} as the label: "
            f"header lines among the rows? If so, set {without_proposal([column])}."
        )
    names = sorted(name for name in free if name.lower() in MISSING)
    if names:
        shown = listing([f"{shown_name(name)} ({count(free[name], 'row')})" for name in names], 5)
        instead = "write an empty list ([]) where no class fits a text, or " if several else ""
        yield f"{shown} may mean that there is no label. If so, {instead}set {without_proposal(names)}."


def _minus_one(free: Counter[str]) -> Iterator[str]:
    others = {name for name in free if name != "-1"}
    if "-1" in free and len(others) > 2 and others == {str(number) for number in range(len(others))}:
        yield (
            f"The label -1 ({count(free['-1'], 'row')}) beside 0 to {len(others) - 1} marks rows without a label in "
            f"data of Hugging Face. If so here, set {without_proposal(['-1'])}."
        )


def _toml(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
