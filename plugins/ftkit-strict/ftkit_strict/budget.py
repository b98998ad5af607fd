"""What serving the model costs: time, disk and memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ftkit.contracts import NATIVE, Contender, Verdict
from ftkit.errors import DeployError
from ftkit.evaluation import charts
from ftkit.formatting import count
from ftkit_strict import scoring
from ftkit_strict.asking import sample
from ftkit_strict.served_answers import fitting

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

    from ftkit.serving.server_process import ServerProcess

MEGABYTE = 2**20
WARM_UP = 5
"""Requests before those that count: the server has warmed up, its caller has not."""
LEAST = 20
"""Requests without which there is no 95th percentile."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Passes when a server of the bundle answers fast enough, and disk and memory suffice.

    Time is that of one caller who sends one text at a time and waits for the answer, over HTTP, with a connection that stays
    open; the texts are test rows. Memory is the most that the server process has held, after it was also sent as
    many of the longest test rows at once as it computes together. All of it is this machine's: a limit is worth as much as the
    machine is like the one that will serve. Other work on the machine can only slow a server down, so a limit of
    time is missed only when it is missed in every one of `attempts` rounds.
    """

    name: ClassVar[str] = "budget"
    p95_ms: float | None = 1000.0
    """Milliseconds within which 95 of 100 requests must be answered; shown, not judged, when none."""
    size_mb: float | None = 2000.0
    """The greatest size of the bundle on disk, in megabytes of 2²⁰ bytes; shown, not judged, when none."""
    memory_mb: float | None = 4000.0
    """The most memory the serving process may hold, in megabytes of 2²⁰ bytes; shown, not judged, when none."""
    requests: int = 200
    """Requests of one round."""
    seconds: float = 15.0
    """A round ends early after this time, with at least 20 requests."""
    attempts: int = 3
    """Rounds to measure before a limit of time counts as missed; the best one counts."""
    engine: str = NATIVE
    """Which of the bundle's engines to measure: the one that is to be deployed."""

    def __post_init__(self) -> None:
        for option in ("p95_ms", "size_mb", "memory_mb"):
            value = getattr(self, option)
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{option} must be a number above 0")
        scoring.at_least("requests", self.requests, LEAST)
        if not 0 < self.seconds < float("inf"):
            raise ValueError("seconds must be a number above 0")
        scoring.at_least("attempts", self.attempts, 1)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Measure the candidate's server."""
        import numpy as np

        from ftkit.serving.server_process import shared_server

        if not len(candidate.data.test):
            return Verdict(self.name, "failed", "nothing can be asked: the test split has no rows")
        size = _size(candidate.bundle) / MEGABYTE
        texts = [candidate.data.test.texts[row] for row in sample(candidate, self.requests)]
        rounds: list[np.ndarray] = []  # milliseconds
        try:
            with shared_server(candidate, self.engine) as servers:
                server = servers.get()
                while len(rounds) < self.attempts and (not rounds or self._slow(rounds)):
                    rounds.append(np.array(self._round(server, texts)) * 1e3)
                longest = sorted(candidate.data.test.texts, key=len, reverse=True)[: server.limits.batch]
                _answered(server, longest[: max(1, fitting(longest, server.limits))])
                if (peak := server.memory) is None:
                    raise DeployError("the server process is gone", str(server.folder))
        except DeployError as error:
            return Verdict(self.name, "failed", f"serving cannot be measured: {error.what}")
        best = min(rounds, key=_p95)
        p50, p95, p99 = (float(value) for value in np.quantile(best, (0.5, 0.95, 0.99)))
        numbers = {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "mean_ms": float(best.mean())}
        memory = peak / MEGABYTE
        numbers |= {"requests": len(best), "rounds": len(rounds), "size_mb": size, "memory_mb": memory}
        found = {
            f"95 of 100 requests are answered within {_figure(p95)} ms": (p95, self.p95_ms, "ms"),
            f"the bundle takes {_figure(size)} MB": (size, self.size_mb, "MB"),
            f"the server {_figure(memory)} MB of memory": (memory, self.memory_mb, "MB"),
        }
        said, over = [], []
        for what, (value, limit, unit) in found.items():
            said.append(what if limit is None else f"{what} (at most {_figure(limit)} {unit})")
            if limit is not None and value > limit:
                over.append(said[-1])
        measured = f"half of them within {_figure(p50)} ms, {count(len(best), 'request')} of one text"
        measured += f", best of {len(rounds)} rounds" if len(rounds) > 1 else ""
        sentence = f"{'; '.join(said)}; {measured}"
        if over:
            sentence = f"over the budget: {'; '.join(over)}. {sentence}"
        return Verdict(
            self.name, scoring.status(not over), sentence, scoring.finite(numbers), self._figure(best, p50, p95, p99)
        )

    def _slow(self, rounds: Sequence[np.ndarray]) -> bool:
        return self.p95_ms is not None and min(map(_p95, rounds)) > self.p95_ms

    def _round(self, server: ServerProcess, texts: Sequence[str]) -> list[float]:
        """Seconds of each request. Raises: DeployError."""
        for number in range(WARM_UP):
            _answered(server, [texts[number % len(texts)]])
        found: list[float] = []
        total = 0.0
        while len(found) < self.requests and (total < self.seconds or len(found) < LEAST):
            found.append(_answered(server, [texts[len(found) % len(texts)]]))
            total += found[-1]
        return found

    def _figure(self, milliseconds: np.ndarray, p50: float, p95: float, p99: float) -> str:
        """The share of requests answered within a time."""
        import numpy as np

        times = np.sort(milliseconds)
        limit = self.p95_ms if self.p95_ms is not None and self.p95_ms < 3 * times[-1] else None
        shares = np.arange(1, len(times) + 1) / len(times) * 100

        def draw(axes: Axes) -> None:
            axes.step([0, *times], [0, *shares], where="post", color=charts.CALM)
            for share, value, side, foot, shift in (
                (50, p50, "left", "top", 6),
                (95, p95, "left", "top", 6),
                (99, p99, "right", "bottom", -6),
            ):
                axes.plot(value, share, "o", color=charts.INK, markersize=4)
                axes.annotate(
                    f"{_figure(value)} ms", (value, share), (shift, 0), textcoords="offset points", ha=side, va=foot
                )
            legend = "milliseconds (dots: 50, 95 and 99 of 100 requests"
            if limit is not None:
                axes.axvline(limit, color=charts.BAD if p95 > limit else charts.INK, linestyle="--", linewidth=1)
                legend += "; dashed: the limit for 95"
            axes.set_xlim(left=0)
            axes.set_ylim(0, 110)
            axes.set_yticks(range(0, 101, 20))
            axes.set_xlabel(f"{legend})")
            axes.set_ylabel("requests answered, in percent")

        return charts.svg("Requests answered within a time", draw)


def _answered(server: ServerProcess, texts: Sequence[str]) -> float:
    """The seconds that a request took. Raises: DeployError when it was not answered."""
    answer = server.invoke({"data": [{"text": text} for text in texts]})
    if answer.refusal:
        raise DeployError(f"the server refused a test row with {answer.refusal}", str(server.folder))
    return answer.seconds


def _size(bundle: Path) -> int:
    return sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())


def _p95(milliseconds: np.ndarray) -> float:
    import numpy as np

    return float(np.quantile(milliseconds, 0.95))


def _figure(value: float) -> str:
    """A number for a sentence: three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
