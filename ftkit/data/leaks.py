"""What training could tell about the test rows: near copies in both, groups in both, rows that are older than training.

Nothing is moved: the report says what there is, and which option would keep it apart.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ftkit.data import moments, near_duplicates, shared_shingles
from ftkit.data.cleaning import Cleaned
from ftkit.data.on_disk import joined
from ftkit.data.rules import Rules
from ftkit.data.texts import chosen
from ftkit.formatting import count

if TYPE_CHECKING:
    import numpy as np

Assigned = Mapping[str, tuple[Cleaned, Sequence[int]]]
"""The rows of each split."""

MANY_NEAR_COPIES = 0.01
"""Share of test rows with a near copy in training from which there is a warning: the limit of the test `leakage`."""
SHARED = 0.05
"""Share of test rows whose group is in training from which it is mentioned."""
FEW_GROUPS = 20
"""A column with fewer values sorts rows, such as by language, rather than naming who or what they are of."""
LIKE_LABELS = 3
"""Values a class up to which a column is the label in other words, or in more detail."""
REPEATED = 0.2
"""Share of rows whose value occurs again from which a column may name groups."""
NAMED_AGREEMENT, AGREEMENT = 0.1, 0.2
"""How much more often than by chance (0) up to always (1) two rows of a value share their label, from which a column tells
labels: one whose name says that it names groups, and any other."""

NEWEST = 0.01
"""Share of the training rows that may be newer than test rows: a wrong date in a few rows is no leak."""

NAME = re.compile(
    r"(^|_|\b)(user|author|writer|customer|client|account|reviewer|speaker|annotator|patient|person|student|sender|thread|topic"
    r"|conversation|dialog|dialogue|session|ticket|case|order|product|item|asin|document|doc|article|page|url|link|domain|host|site"
    r"|source|group|family|company|business|restaurant|hotel|movie|book|app)s?(_?(id|name|key|no|number|code|uri))?(\b|_|$)"
)
"""Names of columns that say who or what a row is of."""


@dataclass
class Leaks:
    """Sentences for the data report."""

    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    shared: dict[str, dict[str, float]] = field(default_factory=dict)
    """As `DataReport.shared`."""


def look(assigned: Assigned, rules: Rules, *, given: bool) -> Leaks:
    """What test and train share; `given` says that the rows came split, so that options of the split change nothing."""
    leaks = Leaks()
    if rules.near_copies == "together" and (given or rules.time):
        _near_copies(assigned, leaks, given=given)
    if rules.time or given:
        leaks.notes += _times(assigned)
    else:
        leaks.notes += _by_chance(assigned)
    _groups(assigned, rules, leaks, given=given)
    leaks.shared = _shared(assigned, rules)
    return leaks


def _shared(assigned: Assigned, rules: Rules) -> dict[str, dict[str, float]]:
    """The share of test rows that share what the recipe keeps apart with training rows, by its option and column."""
    import numpy as np

    shared: dict[str, dict[str, float]] = {}
    if rules.group in _columns(assigned, "groups"):
        train, test = (_hashes(assigned[split], rules.group) for split in ("train", "test"))
        shared["group"] = {rules.group: float(np.isin(test[test != 0], train).sum() / max(1, len(test)))}
    if rules.time in _columns(assigned, "moments"):
        train, test = (_moments(assigned[split], rules.time) for split in ("train", "test"))
        newest = np.quantile(train, 1 - NEWEST, method="lower") if len(train) else math.inf
        shared["time"] = {rules.time: float((test < newest).sum() / max(1, len(test)))}
    return shared


def _near_copies(assigned: Assigned, leaks: Leaks, *, given: bool) -> None:
    texts = {split: chosen(part.rows.texts, rows) for split, (part, rows) in assigned.items()}
    if sum(map(len, texts.values())) > shared_shingles.ROWS:
        most = f"at most {shared_shingles.ROWS:,} texts can be compared"
        leaks.notes.append(f"Near copies of test rows in training were not searched for: {most}.")
        return
    for split, others in (("test", ("train", "valid")), ("valid", ("train",))):
        pool = joined(*(texts[other] for other in others))
        twins = near_duplicates.twins(texts[split], pool)
        if not twins:
            continue
        share = len(twins) / len(texts[split])
        where = "train or valid" if len(others) > 1 else "train"
        sentence = (
            f"{count(len(twins), f'{split} row')} ({_percent(share)}) {'has' if len(twins) == 1 else 'have'} a near copy in "
            f"{where}: a model needs only to remember {'it' if len(twins) == 1 else 'them'}"
        )
        if share > MANY_NEAR_COPIES and split == "test":
            cure = (
                "give one file with all rows, so that near copies stay together"
                if given
                else "leave time out, or take these rows out"
            )
            leaks.warnings.append(f"{sentence}. To measure what it has learnt, {cure}.")
        else:
            leaks.notes.append(f"{sentence}.")


def _times(assigned: Assigned) -> Iterator[str]:
    """Columns of dates by which test rows are older than the newest training row."""
    for name in _columns(assigned, "moments"):
        train, test = (_moments(assigned[split], name) for split in ("train", "test"))
        if not len(train) or not len(test):
            continue
        share = float((test < train.max()).mean())
        if share >= SHARED:
            newest = moments.shown(float(train.max()), dated=name not in assigned["train"][0].rows.others.numbers)
            yield (
                f"{_percent(share)} of the test rows are older than the newest training row, by {name!r} ({newest}): the test does "
                "not show how the model does on rows of later times."
            )


def _by_chance(assigned: Assigned) -> Iterator[str]:
    """The columns by which the rows could be split in time."""
    for name in _columns(assigned, "moments")[:1]:
        times = _moments(assigned["train"], name)
        if len(times) and times.min() < times.max():
            dated = name not in assigned["train"][0].rows.others.numbers
            yield (
                f"{name!r} goes from {moments.shown(float(times.min()), dated=dated)} to {moments.shown(float(times.max()), dated=dated)}, "
                f'and rows are split by chance: with time = "{name}", the newest rows are the test rows.'
            )


def _groups(assigned: Assigned, rules: Rules, leaks: Leaks, *, given: bool) -> None:
    import numpy as np

    names = [name for name in _columns(assigned, "groups") if given or name != rules.group]
    labels = ["\n".join(part.classes_of(row)) for part, rows in assigned.values() for row in rows] if names else []
    for name in names:
        values = {split: _hashes(each, name) for split, each in assigned.items()}
        known = values["test"] != 0
        shared = known & np.isin(values["test"], values["train"])
        share = float(shared.mean()) if len(shared) else 0.0
        together = _Together.of(np.concatenate([*values.values()]), labels)
        chosen, named = name == rules.group, NAME.search(_snake(name)) is not None
        if share < SHARED and not (chosen and shared.any()):
            continue
        few = max(FEW_GROUPS, LIKE_LABELS * len(set(labels)))
        if not chosen and (together.groups < few or together.repeated < REPEATED):
            continue
        if not (chosen or named or together.agreement >= AGREEMENT):
            continue
        sentence = f"{_percent(share)} of the test rows have a value of {name!r} that training rows have too"
        if together.agreement >= NAMED_AGREEMENT:
            sentence += ", and rows of one value often share their label"
        cure = f'group = "{name}"' if not given else f'one file with all rows and group = "{name}"'
        sentence += f": {cure} would keep the rows of a value in one split."
        if chosen or (named and together.agreement >= NAMED_AGREEMENT):
            leaks.warnings.append(sentence)
        else:
            leaks.notes.append(sentence)


@dataclass(frozen=True)
class _Together:
    """What the values of a column do to rows."""

    groups: int
    """Values."""
    repeated: float
    """Share of rows whose value occurs again."""
    agreement: float
    """How much more often than by chance two rows of one value have one label: 0 as by chance, 1 always."""

    @classmethod
    def of(cls, values: np.ndarray, labels: Sequence[str]) -> _Together:
        import numpy as np

        _, label = np.unique(np.array(labels, dtype=object).astype(str), return_inverse=True)
        label, values = label[values != 0], values[values != 0]
        if len(values) < 2:
            return cls(len(values), 0.0, 0.0)
        _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
        _, both = np.unique(np.stack([group, label]), axis=1, return_counts=True)
        pairs, all_pairs = _pairs(sizes), _pairs(np.array([len(values)]))
        same = _pairs(both) / pairs if pairs else 0.0
        chance = _pairs(np.bincount(label)) / all_pairs
        return cls(
            len(sizes),
            float(sizes[sizes > 1].sum() / len(values)),
            max(0.0, (same - chance) / (1 - chance)) if chance < 1 else 0.0,
        )


def _pairs(sizes: np.ndarray) -> float:
    return float((sizes * (sizes - 1.0)).sum() / 2)


def _columns(assigned: Assigned, kind: str) -> list[str]:
    """Columns that every split has."""
    each = [part.rows.others.groups if kind == "groups" else part.rows.others.moments for part, _ in assigned.values()]
    return [name for name in each[0] if all(name in others for others in each)]


def _hashes(rows_of: tuple[Cleaned, Sequence[int]], name: str) -> np.ndarray:
    import numpy as np

    part, rows = rows_of
    return np.asarray(part.rows.others.groups[name], dtype=np.int64)[np.asarray(rows, dtype=np.int64)]


def _moments(rows_of: tuple[Cleaned, Sequence[int]], name: str) -> np.ndarray:
    """The moments of rows, without those that have none."""
    import numpy as np

    part, rows = rows_of
    values = np.asarray(part.rows.others.moments[name], dtype=np.float64)[np.asarray(rows, dtype=np.int64)]
    return values[~np.isnan(values)]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[\s.-]+", "_", name).lower()


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1f} %"
