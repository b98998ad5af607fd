"""Several processes that train one model together: what each computes, all know. With one process, plain calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ftkit.contracts import StopTrial

if TYPE_CHECKING:
    import numpy as np


def gathered(compute: Callable[[range], np.ndarray], rows: int, ranks: int, rank: int) -> np.ndarray:
    """`compute` of all rows, in their order, each process computing its share."""
    if ranks == 1:
        return compute(range(rows))
    import numpy as np
    from accelerate.utils import gather_object

    shares = gather_object([(rank, compute(range(rank, rows, ranks)))])
    found = np.empty((rows, shares[0][1].shape[1]))
    for owner, share in shares:
        found[owner::ranks] = share
    return found


def agreed(ask: Callable[[], bool], ranks: int, rank: int) -> bool:
    """The first process's answer, in all of them. Raises: StopTrial in all of them."""
    if ranks == 1:
        return ask()
    from accelerate.utils import broadcast_object_list

    answer: list[bool | str | None] = [None]
    if rank == 0:
        try:
            answer = [bool(ask())]
        except StopTrial as stop:
            answer = [str(stop)]
    broadcast_object_list(answer)
    if isinstance(answer[0], str):
        raise StopTrial(answer[0])
    return bool(answer[0])
