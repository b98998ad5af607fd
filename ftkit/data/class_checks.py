"""Whether the classes can be learnt and tested with the rows that are left of each file, or else a short error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath

from ftkit.data.class_names import shown_name
from ftkit.data.label_column import column_doubt
from ftkit.data.label_doubts import meant_classes, merge_proposal, without_proposal
from ftkit.data.labels import Named, column
from ftkit.errors import DataError
from ftkit.formatting import count, listing

Sizes = Mapping[str, Mapping[str, int]]
"""Rows of each part by class, after cleaning."""


def check_classes(named: Named, sizes: Sizes, dropped: Mapping[str, int]) -> None:
    """Raises: DataError when nothing is left to train on, or only one class."""
    where = ", ".join(dict.fromkeys(column(rows) for rows in named.parts.values()))
    present = {label: total for label in named.classes if (total := sum(size[label] for size in sizes.values()))}
    left_out = ", ".join(f"{number:,} {reason}" for reason, number in dropped.items() if number)
    doubt = column_doubt(named, rejected=True)
    if not present:
        what = f"no rows are left: {left_out}" if left_out else "there are no rows"
        cure = "that its texts have labels" if left_out else "that rows follow the header"
        raise DataError(what, where, doubt or f"Check that this is the right file, and {cure}.")
    if len(present) == 1:
        (label, size) = next(iter(present.items()))
        raise DataError(
            f"there is only one class: all {size:,} rows are {shown_name(label)}"
            + (f" (dropped: {left_out})" if left_out else ""),
            where,
            doubt or "A classifier needs at least two classes: check which column or field the labels are read from.",
        )


def check_sizes(named: Named, classes: Sequence[str], sizes: Sizes, into: Mapping[str, Sequence[str]]) -> list[str]:
    """Warnings of classes that are not in every given file.

    Raises: DataError when a class has too few rows to be in every split, is not among the training rows, or is alone.
    """
    if len(classes) < 2:
        raise DataError(
            f"min_rows leaves {len(classes)} class{'es' * (not classes)}",
            column(next(iter(named.parts.values()))),
            column_doubt(named, rejected=True) or "Lower min_rows: a classifier needs at least two classes.",
        )
    names = _short_names(named)
    trained = next(part for part, splits in into.items() if "train" in splits)
    _check_untrained(named, classes, sizes, trained, names)
    warnings = []
    for part, splits in into.items():
        needed = len(splits) if part == trained else 0
        if small := {label: sizes[part][label] for label in classes if sizes[part][label] < needed}:
            raise _too_few(named, small, part, splits)
        if part != trained and sum(sizes[part][label] > 0 for label in classes) < 2:
            left = _one_class(sizes[part]) if named.counts[part] else "no row with a label is"
            raise DataError(
                f"{left} left in {names[part]}, so it measures nothing",
                column(named.parts[part]),
                "Give a file with rows of several classes, or one file with all rows, so that ftkit splits them.",
            )
        if absent := [label for label in classes if not sizes[part][label]]:
            use = "is not tested" if part == "test" else "does not count when the best trial is chosen"
            listed = listing(map(shown_name, absent), 5)
            one = len(absent) == 1
            warnings.append(
                f"{names[part]} has no row of {listed}: {'this class' if one else 'each of these classes'} {use}."
            )
    return warnings


def _check_untrained(
    named: Named, classes: Sequence[str], sizes: Sizes, trained: str, names: Mapping[str, str]
) -> None:
    """Raises: DataError for classes without a training row, although another file has rows of them."""
    others = [part for part in sizes if part != trained]
    if not others:
        return
    untrained = [label for label in classes if not sizes[trained][label]]
    if not untrained:
        return
    cleaned_away = [label for label in untrained if named.counts[trained][label]]
    if cleaned_away:
        raise DataError(
            f"no row of {listing(map(shown_name, cleaned_away), 5)} in {names[trained]} is left after cleaning: "
            "its texts are also in another file, or have other labels as well",
            column(named.parts[trained]),
            f"Add training rows, or leave {_it(cleaned_away)} out: {without_proposal(cleaned_away)}.",
        )
    having = [part for part in others if any(sizes[part][label] for label in untrained)]
    places = " and ".join(names[part] for part in having)
    rows = {label: sum(sizes[part][label] for part in others) for label in untrained}
    if not having:
        raise DataError(
            f"no row has the label {listing(map(shown_name, untrained), 5)}",
            column(named.parts[trained]),
            "Correct classes or labels: they list what no row has.",
        )
    listed = listing((f"{shown_name(label)} ({count(rows[label], 'row')})" for label in untrained), 5)
    subject = f"class {listed} is" if len(untrained) == 1 else f"{len(untrained):,} classes are"
    raise DataError(
        f"{subject} in {places} only, so {names[trained]} does not teach {_it(untrained)}"
        + (f": {listed}" if len(untrained) > 1 else ""),
        column(named.parts[having[0]]),
        _untrained_hint(named, untrained, trained, names),
    )


def _untrained_hint(named: Named, untrained: Sequence[str], trained: str, names: Mapping[str, str]) -> str:
    known = [label for label in named.counts[trained] if label not in untrained]
    leave_out = without_proposal(untrained)
    if [*untrained] == ["-1"]:
        return f"In data of Hugging Face, -1 marks rows without a label. Use a file with labels, or set {leave_out}."
    if merge := _merge_hint(untrained, known):
        return f"{merge} Otherwise add training rows, or leave {_it(untrained)} out: {leave_out}."
    if len(untrained) > 5 and (doubt := column_doubt(named, rejected=True)):
        return doubt
    hint = f"Add training rows of {_it(untrained)}, or leave {_it(untrained)} out: {leave_out}."
    hint += f" {names[trained]} has the classes {listing(map(shown_name, sorted(known)), 5)}."
    if all(not named.counts[part].keys() - {*untrained} for part in named.counts if part != trained):
        hint += (
            " The files have no class in common: if they write the same classes in different ways, map them by labels."
        )
    return hint


def _too_few(named: Named, small: Mapping[str, int], part: str, splits: Sequence[str]) -> DataError:
    """The error for classes with fewer rows than there are splits to be in."""
    needed = " and ".join(filter(None, (", ".join(splits[:-1]), splits[-1])))
    read = named.counts[part]
    shown = [
        f"{shown_name(label)} has {size}" + (f" ({read[label]:,} before cleaning)" if read[label] > size else "")
        for label, size in small.items()
    ]
    known = [label for label in read if label not in small]
    ways = dict.fromkeys((without_proposal([*small]), f"min_rows = {len(splits)}"))
    if len(named.parts) > 1:
        ways.pop(f"min_rows = {len(splits)}")
    if len(small) > 5:
        what = f"{len(small):,} of {len(named.classes):,} classes have fewer rows than there are splits ({needed})"
        doubt, leave_out = column_doubt(named, rejected=True), [*ways][-1]
    else:
        what, doubt, leave_out = f"too few rows to have every class in {needed}", "", " or ".join(ways)
    merge = _merge_hint([*small], known) if not doubt else ""
    hint = doubt or f"Add rows, or leave {_it(small)} out: {leave_out}."
    return DataError(
        f"{what}: {listing(shown, 5 if len(small) < 6 else 3)}",
        column(named.parts[part]),
        f"{merge} Otherwise {hint[0].lower()}{hint[1:]}" if merge else hint,
    )


def _merge_hint(labels: Sequence[str], known: Sequence[str]) -> str:
    """The question whether labels are known classes written differently; empty if they are like none."""
    meant = meant_classes(labels, known)
    if not meant:
        return ""
    label, name = next(iter(meant.items()))
    more = f", and so on for {len(meant) - 1:,} more" if len(meant) > 1 else ""
    return f"Is {shown_name(label)} the class {shown_name(name)}{more}? Then set {merge_proposal(meant)}."


def _one_class(size: Mapping[str, int]) -> str:
    present = [label for label, number in size.items() if number]
    return f"only one class ({shown_name(present[0])}) is" if present else "no row is"


def _it(labels: Iterable[str]) -> str:
    return "it" if len([*labels]) == 1 else "them"


def _short_names(named: Named) -> dict[str, str]:
    """What to call each part in a sentence: its file's name, or the whole source where two have the same name."""
    short = {part: PurePath(rows.source).name or part for part, rows in named.parts.items()}
    return short if len({*short.values()}) == len(short) else {part: rows.source for part, rows in named.parts.items()}
