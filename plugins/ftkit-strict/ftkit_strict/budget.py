"""What it costs to serve the model: time, disk and memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ftkit.contracts import NATIVE, TASKS, Contender, Task, Verdict
from ftkit.errors import DeployError
from ftkit.evaluation import charts, option_checks, verdicts
from ftkit.evaluation.contenders import sample_rows
from ftkit.formatting import count
from ftkit_strict.served_answers import rows_of, texts_that_fit

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

    from ftkit.serving.server_process import ServerProcess

MEGABYTE = 2**20
WARM_UP = 5
"""Requests before those that count: the server has warmed up, the connection has not."""
MIN_REQUESTS = 20
"""Fewer requests have no 95th percentile."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Passes when a server of the bundle answers fast enough, and disk and memory suffice.

    Time is measured for one caller who sends one test row at a time over HTTP, on a connection that stays open, and waits for
    the answer. Memory is the peak of the server process, after one more request with as many of the longest test rows as
    it computes together. All numbers are those of this machine, so a limit says as much about the machine that will serve as the
    two machines are alike. Other work on the machine can only slow a server down, so a limit of time is exceeded only when it is
    exceeded in every one of `attempts` rounds.
    """

    name: ClassVar[str] = "budget"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    p95_ms: float | None = 1000.0
    """Milliseconds within which 95 of 100 requests must be answered; measured without a limit when none."""
    size_mb: float | None = 2000.0
    """The greatest size of the bundle on disk, in megabytes of 2²⁰ bytes; measured without a limit when none."""
    memory_mb: float | None = 4000.0
    """The most memory the serving process may hold, in megabytes of 2²⁰ bytes; measured without a limit when none."""
    requests: int = 200
    """Requests of one round."""
    seconds: float = 15.0
    """A round ends early after this time, with at least 20 requests."""
    attempts: int = 3
    """Rounds to measure before a limit of time counts as missed; the best one counts."""
    engine: str = NATIVE
    """Which of the bundle's engines to measure: the one that is to be deployed."""

    def __post_init__(self) -> None:
        limits = {"p95_ms": self.p95_ms, "size_mb": self.size_mb, "memory_mb": self.memory_mb, "seconds": self.seconds}
        for option, value in limits.items():
            if value is not None:
                option_checks.above_zero(option, value)
        option_checks.at_least("requests", self.requests, MIN_REQUESTS)
        option_checks.at_least("attempts", self.attempts, 1)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Measure the candidate's server."""
        import numpy as np

        from ftkit.serving.server_process import shared_server

        if not len(candidate.data.test):
            return Verdict(self.name, "failed", "there are no requests to send: the test split has no rows")
        size = _size(candidate.bundle) / MEGABYTE
        texts = [candidate.data.test.texts[row] for row in sample_rows(candidate, self.requests)]
        fields = candidate.data.fields
        rounds: list[np.ndarray] = []  # milliseconds
        try:
            with shared_server(candidate, self.engine) as servers:
                server = servers.get()
                while len(rounds) < self.attempts and (not rounds or self._slow(rounds)):
                    rounds.append(np.array(self._round(server, rows_of(texts, fields))) * 1e3)
                longest = sorted(candidate.data.test.texts, key=len, reverse=True)[: server.limits.batch]
                _seconds(server, rows_of(longest[: max(1, texts_that_fit(longest, server.limits, fields))], fields))
                if (peak := server.memory) is None:
                    raise DeployError("the server process has ended", str(server.folder))
        except DeployError as error:
            return Verdict(self.name, "failed", f"the server cannot be measured: {error.what}")
        best = min(rounds, key=_p95)
        p50, p95, p99 = (float(value) for value in np.quantile(best, (0.5, 0.95, 0.99)))
        numbers = {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "mean_ms": float(best.mean())}
        memory = peak / MEGABYTE
        numbers |= {"requests": len(best), "rounds": len(rounds), "size_mb": size, "memory_mb": memory}
        measurements = {
            f"95 of 100 requests are answered within {_short(p95)} ms": (p95, self.p95_ms, "ms"),
            f"the bundle takes {_short(size)} MB": (size, self.size_mb, "MB"),
            f"the server {_short(memory)} MB of memory": (memory, self.memory_mb, "MB"),
        }
        parts, over = [], []
        for text, (value, limit, unit) in measurements.items():
            parts.append(text if limit is None else f"{text} (at most {_short(limit)} {unit})")
            if limit is not None and value > limit:
                over.append(parts[-1])
        parts.append(f"half of them within {_short(p50)} ms, {count(len(best), 'request')} of one text")
        parts[-1] += f", best of {len(rounds)} rounds" if len(rounds) > 1 else ""
        sentence = (f"over the budget: {'; '.join(over)}. " if over else "") + "; ".join(parts)
        chart = self._chart(best, p50, p95, p99)
        return Verdict(self.name, verdicts.status(not over), sentence, verdicts.finite_numbers(numbers), chart)

    def _slow(self, rounds: Sequence[np.ndarray]) -> bool:
        return self.p95_ms is not None and min(map(_p95, rounds)) > self.p95_ms

    def _round(self, server: ServerProcess, rows: Sequence[dict[str, str]]) -> list[float]:
        """Seconds of each request with one row. Raises: DeployError."""
        for number in range(WARM_UP):
            _seconds(server, [rows[number % len(rows)]])
        times: list[float] = []
        while len(times) < self.requests and (sum(times) < self.seconds or len(times) < MIN_REQUESTS):
            times.append(_seconds(server, [rows[len(times) % len(rows)]]))
        return times

    def _chart(self, milliseconds: np.ndarray, p50: float, p95: float, p99: float) -> str:
        """A curve: the share of requests that are answered within a time."""
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
                    f"{_short(value)} ms", (value, share), (shift, 0), textcoords="offset points", ha=side, va=foot
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


def _seconds(server: ServerProcess, rows: Sequence[dict[str, str]]) -> float:
    """The seconds that a request with these rows takes. Raises: DeployError when it is not answered."""
    answer = server.invoke({"data": list(rows)})
    if answer.refusal:
        raise DeployError(f"the server refused a test row with {answer.refusal}", str(server.folder))
    return answer.seconds


def _size(bundle: Path) -> int:
    return sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())


def _p95(milliseconds: np.ndarray) -> float:
    import numpy as np

    return float(np.quantile(milliseconds, 0.95))


def _short(value: float) -> str:
    """A number for a sentence: three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
