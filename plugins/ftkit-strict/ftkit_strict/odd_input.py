"""Whether the served model bears whatever it is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ftkit.contracts import NATIVE, Contender, ModelServer, Verdict
from ftkit.errors import BundleError, DeployError
from ftkit.formatting import count, listing, quoted, rounded
from ftkit.serving.limits import Limits
from ftkit_strict import scoring
from ftkit_strict.odd_input_cases import broken_requests, odd_texts
from ftkit_strict.served_answers import Unsound, asked, fitting, sample_texts

if TYPE_CHECKING:
    import numpy as np

LONGEST = 500_000
"""Characters of a text that fit into a request, whatever they are: six bytes each at most."""

CRASHES = 3
"""Servers that may be lost before the rest goes unasked: each takes its time to come back."""


@dataclass(frozen=True, kw_only=True)
class OddInput:
    """Passes when the server answers odd texts soundly, refuses what is no request, and works afterwards as before.

    A server of the bundle is sent texts that are empty, endless, of control characters, markup, emoji, broken characters, and
    of other languages and scripts: each alone, and all in one request. Every answer must have a finite score for every class,
    adding up to one, and the label of the highest; in company a text must be answered as it is alone. Requests that are
    none must be refused with a status from 400 to 499.
    """

    name: ClassVar[str] = "odd-input"
    texts: tuple[str, ...] = ()
    """Further texts to send."""
    long: int = 200_000
    """Characters of the endless texts."""
    tolerance: float = 1e-3
    """How much a probability may differ between a text sent alone and the same in company."""
    engine: str = NATIVE
    """Which of the bundle's engines to ask: the one that is to be deployed."""

    def __post_init__(self) -> None:
        if not 1 <= self.long <= LONGEST:
            raise ValueError(f"long must be from 1 to {LONGEST:,}: more may not fit into a request")
        for number, text in enumerate(self.texts, 1):
            if len(text) > LONGEST:
                raise ValueError(f"text {number} of texts has more than {LONGEST:,} characters")
        scoring.in_range("tolerance", self.tolerance, 0, 1)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Ask the candidate's server."""
        texts = {**odd_texts(self.long), **{f"the text {quoted(text)}": text for text in self.texts}}
        from ftkit.serving.server_process import shared_server

        with shared_server(candidate, self.engine) as servers:
            trial = _Trial(servers, candidate.data.classes)
            try:
                limits = servers.get().limits
                sample = sample_texts(candidate.bundle)
                before = trial.probabilities("the sample request", sample)
            except (DeployError, BundleError) as error:
                return Verdict(self.name, "failed", f"odd texts cannot be asked about: {error.what}")
            alone = {title: found for title, text in texts.items() if (found := trial.ask(title, [text])) is not None}
            difference = self._together(trial, {title: texts[title] for title in alone}, alone, limits)
            broken = broken_requests(limits)
            for title, body in broken.items():
                trial.refuse(title, body)
            after = trial.ask("the sample request, asked again", sample)
            if before is not None and after is not None and abs(after - before).max(initial=0) > self.tolerance:
                trial.faults.append("the sample request is answered otherwise afterwards")
        numbers: dict[str, float] = {"texts": len(texts), "answered": len(alone), "broken_requests": len(broken)}
        numbers |= {"faults": len(trial.faults), "crashes": trial.crashes, "max_difference": difference}
        if trial.faults:
            said = f"{count(len(trial.faults), 'fault')}: {'; '.join(trial.faults[:4])}"
            said += f"; and {len(trial.faults) - 4} more" if len(trial.faults) > 4 else ""
        else:
            said = (
                f"{len(texts)} odd texts are answered soundly, alone and together (at most {rounded(difference)} apart), "
                f"{len(broken)} broken requests are refused, and the server works as before"
            )
        return Verdict(self.name, scoring.status(not trial.faults), said, scoring.finite(numbers))

    def _together(
        self, trial: _Trial, texts: Mapping[str, str], alone: Mapping[str, np.ndarray], limits: Limits
    ) -> float:
        """Ask about the texts in as few requests as they fit into; returns the largest difference to each asked alone."""
        largest = 0.0
        apart: dict[str, float] = {}
        left = list(texts)
        while left:
            fit = max(1, fitting([texts[title] for title in left], limits))
            titles, left = left[:fit], left[fit:]
            found = trial.ask(f"{len(titles)} texts in one request", [texts[title] for title in titles])
            if found is None:
                continue
            for title, row in zip(titles, found, strict=True):
                difference = float(abs(row - alone[title][0]).max())
                largest = max(largest, difference)
                if difference > self.tolerance:
                    apart[title] = difference
        if apart:
            worst = sorted(apart, key=apart.__getitem__, reverse=True)
            trial.faults.append(f"{listing(worst, 3)}: answered otherwise in company, by up to {rounded(largest)}")
        return largest


class _Trial:
    """One server asked this and that, and what it did wrong."""

    def __init__(self, servers: ModelServer, classes: Sequence[str]) -> None:
        self.servers = servers
        self.classes = classes
        self.faults: list[str] = []
        self.crashes = 0

    def ask(self, title: str, texts: Sequence[str]) -> np.ndarray | None:
        """Probabilities of texts, or None when they were not answered soundly."""
        if self.crashes >= CRASHES:
            return None
        try:
            return self.probabilities(title, texts)
        except DeployError as error:
            self._lost(title, error)
            return None

    def probabilities(self, title: str, texts: Sequence[str]) -> np.ndarray | None:
        """The same. Raises: DeployError when the server is lost."""
        try:
            return asked(self.servers.get(), texts, self.classes)[1]
        except Unsound as fault:
            self.faults.append(f"{title}: {fault}")
            return None

    def refuse(self, title: str, body: bytes) -> None:
        """Send what is no request."""
        if self.crashes >= CRASHES:
            return
        try:
            answer = self.servers.get().invoke(body)
        except DeployError as error:
            self._lost(title, error)
            return
        if not 400 <= answer.status < 500:
            self.faults.append(f"{title}: a request that is none gets status {answer.status}")

    def _lost(self, title: str, error: DeployError) -> None:
        self.crashes += 1
        rest = "; the rest was not asked any more" if self.crashes == CRASHES else ""
        self.faults.append(f"{title}: {error.what}{rest}")
