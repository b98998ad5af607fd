"""Work shared by several processes that train one model together; with one process, plain calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ftkit.contracts import StopTrial

if TYPE_CHECKING:
    import numpy as np


def gather_rows(compute: Callable[[range], np.ndarray], rows: int, ranks: int, rank: int) -> np.ndarray:
    """`compute` of all rows, in their order: each process computes a share and receives the others."""
    if ranks == 1:
        return compute(range(rows))
    import numpy as np
    from accelerate.utils import gather_object

    shares = gather_object([(rank, compute(range(rank, rows, ranks)))])
    gathered = np.empty((rows, shares[0][1].shape[1]))
    for share_rank, share in shares:
        gathered[share_rank::ranks] = share
    return gathered


def broadcast_decision(decide: Callable[[], bool], ranks: int, rank: int) -> bool:
    """What `decide` returns in the first process, in all of them. Raises: StopTrial, in all of them as well."""
    if ranks == 1:
        return decide()
    from accelerate.utils import broadcast_object_list

    decision: list[bool | str | None] = [None]
    if rank == 0:
        try:
            decision = [bool(decide())]
        except StopTrial as stop:
            decision = [str(stop)]
    broadcast_object_list(decision)
    if isinstance(decision[0], str):
        raise StopTrial(decision[0])
    return bool(decision[0])
