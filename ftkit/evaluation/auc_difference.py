"""How sure the difference between two models' ROC AUC on the same rows is, when the rows are few.

DeLong's variance adds up how far each row pulls the difference from its mean. On few rows three things are missing in it, and
each is put right:

- rows that nobody has seen: one further row of each class, which the worse model ranks lower by `FURTHER` of the other classes'
  rows. So two models that rank all rows alike still may differ;
- a variance that a few rows make up is itself uncertain: Student's t, with Satterthwaite's degrees of freedom;
- a single row that is ranked wrongly pulls far, many rows that are ranked rightly pull a little: Hall's transformation removes this
  skewness, where it makes the interval longer.

Source: DeLong, DeLong and Clarke-Pearson 1988, "Comparing the Areas under Two or More Correlated Receiver Operating
Characteristic Curves"; Satterthwaite 1946, "An Approximate Distribution of Estimates of Variance Components"; Hall 1992, "On
the Removal of Skewness by Transformation".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

FURTHER = 0.2
"""With it two models that rank all rows rightly take some 240 rows to show that they differ by less than 0.02."""


def quantiles(one: np.ndarray, other: np.ndarray, labels: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The confidence distribution of the first model's lead, once for lower ends and once for upper ends; each (number,).

    Both are quantiles of evenly spread probabilities, in ascending order. They are empty where there are no rows of two classes.
    `one` and `other` are probabilities, (rows, classes).
    """
    import numpy as np

    if len(np.unique(labels)) < 2:
        return np.empty(0), np.empty(0)
    lead, rows, further = pulls(one, other, labels)
    chances = np.arange(1, number + 1) / (number + 1)
    lower, upper = (_quantiles(lead, np.concatenate([rows, each]), chances) for each in (-further, further))
    return lower, upper


def _quantiles(lead: float, pulled: np.ndarray, chances: np.ndarray) -> np.ndarray:
    import numpy as np
    from scipy.stats import t

    variance = float((pulled**2).sum())
    freedom = 2 * variance**2 / float((pulled**4).sum())
    skewness = float((pulled**3).sum()) / variance**1.5
    further = pulled[-1]
    if skewness * further < 0:
        skewness = 0.0  # it would make the interval shorter
    steps = t.isf(chances, freedom)
    if abs(skewness) > 1e-6:
        steps = 3 * (np.cbrt(1 + skewness * (steps - skewness / 6)) - 1) / skewness
    return np.clip(lead - np.sqrt(variance) * steps, -1, 1)


def pulls(one: np.ndarray, other: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """The first model's lead, how far each row pulls it from its mean, (rows,), and how far a further row of each class would.

    The pull of a row is the lead's derivative by the row's weight: with two classes, DeLong's structural components.
    """
    import numpy as np

    one, other = (_scores(each) for each in (one, other))
    present, rows = np.unique(labels), len(labels)
    pulled, odds_of_others = np.zeros(rows), np.zeros(len(present))
    for place, index in enumerate(present):
        own = labels == index
        above, below = (
            first - second
            for first, second in zip(_in_order(one[:, index], own), _in_order(other[:, index], own), strict=True)
        )
        odds = own.sum() / (~own).sum()
        pulled[own] += above
        pulled[~own] += odds * (below - below.mean())
        odds_of_others[np.arange(len(present)) != place] += odds
    lead = float(pulled.mean())
    return lead, (pulled - lead) / rows, FURTHER * (1 + odds_of_others) / rows


def _scores(probabilities: np.ndarray) -> np.ndarray:
    """What ranks the rows for each class; with two classes it is the probability of the second, as in `metrics.score`."""
    import numpy as np

    probabilities = np.asarray(probabilities, dtype=np.float64)
    return (
        np.stack([-probabilities[:, 1], probabilities[:, 1]], axis=1) if probabilities.shape[1] == 2 else probabilities
    )


def _in_order(scores: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row of the class the share of the others below it, for each other the share of the class above; ties count half."""
    return _share_below(scores[own], scores[~own]), _share_below(-scores[~own], -scores[own])


def _share_below(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    import numpy as np

    ordered = np.sort(others)
    return (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")) / (2 * len(ordered))
