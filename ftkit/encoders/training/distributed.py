"""Work shared by several processes that train one model together; with one process, plain calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ftkit.contracts import EndTraining, StopTrial

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")


def gather_rows(compute: Callable[[range], np.ndarray], rows: int, ranks: int, rank: int) -> np.ndarray:
    """`compute` of all rows, in their order: each process computes a share and receives the others."""
    if ranks == 1:
        return compute(range(rows))
    import numpy as np

    shares = gather(compute(range(rank, rows, ranks)), ranks)
    gathered = np.empty((rows, shares[0].shape[1]))
    for share_rank, share in enumerate(shares):
        gathered[share_rank::ranks] = share
    return gathered


def gather(value: T, ranks: int) -> list[T]:
    """The value of every process, by rank, in all of them."""
    if ranks == 1:
        return [value]
    from accelerate.utils import gather_object

    gathered: list[T] = gather_object([value])
    return gathered


def broadcast(compute: Callable[[], T], ranks: int, rank: int) -> T:
    """What `compute` returns in the first process, in all of them."""
    if ranks == 1:
        return compute()
    from accelerate.utils import broadcast_object_list

    values: list[T | None] = [compute() if rank == 0 else None]
    broadcast_object_list(values)
    return values[0]  # type: ignore[return-value]  # it is that of the first process


def broadcast_decision(decide: Callable[[], bool], ranks: int, rank: int) -> bool:
    """What `decide` returns in the first process, in all of them. Raises: StopTrial, in all of them as well."""
    stopped: list[StopTrial] = []

    def decided() -> bool | str:
        try:
            return bool(decide())
        except StopTrial as stop:
            stopped.append(stop)
            return str(stop)

    decision = broadcast(decided, ranks, rank)
    if isinstance(decision, str):
        raise stopped[0] if stopped else StopTrial(decision)
    return decision


def broadcast_evaluation(report: Callable[[], bool], ranks: int, rank: int) -> tuple[bool, bool]:
    """Whether `report`, called in the first process, names an evaluation the best, and whether the training ends with it.

    All processes get the answer. Raises: StopTrial, in all of them as well.
    """
    ends: list[bool] = []

    def is_best() -> bool:
        try:
            return report()
        except EndTraining as end:
            ends.append(True)
            return end.best

    best = broadcast_decision(is_best, ranks, rank)
    return best, broadcast(lambda: bool(ends), ranks, rank)
