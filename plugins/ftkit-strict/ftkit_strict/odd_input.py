"""Whether the served model copes with any text and any request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ftkit.contracts import NATIVE, TASKS, Contender, ModelServer, Task, Verdict
from ftkit.errors import BundleError, DeployError
from ftkit.evaluation import option_checks, verdicts
from ftkit.formatting import count, listing, quoted, rounded
from ftkit.serving.limits import Limits
from ftkit_strict.odd_input_cases import broken_pairs, broken_requests, odd_pairs, odd_texts
from ftkit_strict.served_answers import InvalidAnswer, request_scores, sample_texts, texts_that_fit

if TYPE_CHECKING:
    import numpy as np

MAX_CHARACTERS = 500_000
"""A longer text may not fit into a request: a character takes up to six bytes."""
MAX_CRASHES = 3
"""Crashes of the server after which no more is sent: every restart takes time."""
SHOWN_FAULTS = 4
"""Faults that the sentence names."""


@dataclass(frozen=True, kw_only=True)
class OddInput:
    """Passes when the server answers odd texts validly, refuses broken requests, and then still works as before.

    A server of the bundle is sent texts that are empty, very long, made of control characters, markup, emoji or broken
    characters, or written in other languages and scripts: each alone, and all together. Every answer must have a finite score
    for every class, scores that add up to one, and the label of the highest, or of a multi-label model all labels that their scores
    give. A text must get the same answer together with others
    as alone. Broken requests must be refused with a status from 400 to 499.
    """

    name: ClassVar[str] = "odd-input"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    texts: tuple[str, ...] = ()
    """Further texts to send."""
    long: int = 200_000
    """Characters of the very long texts."""
    tolerance: float = 1e-3
    """How much a probability may differ between a text sent alone and the same text sent with others."""
    engine: str = NATIVE
    """Which of the bundle's engines to test: the one that is to be deployed."""

    def __post_init__(self) -> None:
        if not 1 <= self.long <= MAX_CHARACTERS:
            raise ValueError(f"long must be from 1 to {MAX_CHARACTERS:,}: more may not fit into a request")
        for number, text in enumerate(self.texts, 1):
            if len(text) > MAX_CHARACTERS:
                raise ValueError(f"text {number} of texts has more than {MAX_CHARACTERS:,} characters")
        option_checks.in_range("tolerance", self.tolerance, 0, 1)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Send the texts and requests to the candidate's server."""
        texts = {**odd_texts(self.long), **{f"the text {quoted(text)}": text for text in self.texts}}
        fields = candidate.data.fields
        if len(fields) > 1:
            texts = odd_pairs(texts, fields, MAX_CHARACTERS // 2)
        from ftkit.serving.server_process import shared_server

        with shared_server(candidate, self.engine) as servers:
            session = _Session(servers, candidate)
            try:
                limits = servers.get().limits
                sample = sample_texts(candidate.bundle, fields)
                before = session.probabilities("the sample request", sample)
            except (DeployError, BundleError) as error:
                return Verdict(self.name, "failed", f"odd texts cannot be sent: {error.what}")
            answers = {title: session.ask(title, [text]) for title, text in texts.items()}
            alone = {title: answer[0] for title, answer in answers.items() if answer is not None}
            difference = self._send_together(session, {title: texts[title] for title in alone}, alone, limits)
            broken = {**broken_requests(limits), **broken_pairs(fields)}
            for title, body in broken.items():
                session.send_broken(title, body)
            after = session.ask("the sample request, sent again", sample)
            if before is not None and after is not None and abs(after - before).max(initial=0) > self.tolerance:
                session.faults.append("the sample request gets another answer afterwards")
        faults = session.faults
        numbers: dict[str, float] = {"texts": len(texts), "answered": len(alone), "broken_requests": len(broken)}
        numbers |= {"faults": len(faults), "crashes": session.crashes, "max_difference": difference}
        if faults:
            sentence = f"{count(len(faults), 'fault')}: {'; '.join(faults[:SHOWN_FAULTS])}"
            sentence += f"; and {len(faults) - SHOWN_FAULTS} more" if len(faults) > SHOWN_FAULTS else ""
        else:
            sentence = (
                f"{len(texts)} odd texts get valid answers, alone and together (at most {rounded(difference)} apart), "
                f"{len(broken)} broken requests are refused, and the server works as before"
            )
        return Verdict(self.name, verdicts.status(not faults), sentence, verdicts.finite_numbers(numbers))

    def _send_together(
        self, session: _Session, texts: Mapping[str, str], alone: Mapping[str, np.ndarray], limits: Limits
    ) -> float:
        """Send the texts in as few requests as possible; returns the largest difference to a text sent alone."""
        differences: dict[str, float] = {}
        remaining = list(texts)
        while remaining:
            fit = max(1, texts_that_fit([texts[title] for title in remaining], limits, session.fields))
            titles, remaining = remaining[:fit], remaining[fit:]
            rows = session.ask(f"{len(titles)} texts in one request", [texts[title] for title in titles])
            if rows is not None:
                differences |= {
                    title: float(abs(row - alone[title]).max()) for title, row in zip(titles, rows, strict=True)
                }
        largest = max(differences.values(), default=0.0)
        worst = sorted(differences, key=differences.__getitem__, reverse=True)
        if apart := [title for title in worst if differences[title] > self.tolerance]:
            session.faults.append(
                f"{listing(apart, 3)}: another answer together than alone, by up to {rounded(largest)}"
            )
        return largest


class _Session:
    """Requests to one server, which is started again when it crashes, and the faults of its answers."""

    def __init__(self, servers: ModelServer, candidate: Contender) -> None:
        self.servers = servers
        self.classes, self.task, self.rule = candidate.data.classes, candidate.data.task, candidate.rule
        self.fields = candidate.data.fields
        self.faults: list[str] = []
        self.crashes = 0

    def ask(self, title: str, texts: Sequence[str]) -> np.ndarray | None:
        """Probabilities of the texts, (texts, classes); None when they get no valid answer."""
        if self.crashes >= MAX_CRASHES:
            return None
        try:
            return self.probabilities(title, texts)
        except DeployError as error:
            self._crashed(title, error)
            return None

    def probabilities(self, title: str, texts: Sequence[str]) -> np.ndarray | None:
        """As `ask` returns them. Raises: DeployError when the server crashes."""
        try:
            return request_scores(self.servers.get(), texts, self.classes, self.task, self.rule, self.fields)[1]
        except InvalidAnswer as fault:
            self.faults.append(f"{title}: {fault}")
            return None

    def send_broken(self, title: str, body: bytes) -> None:
        """Send a broken request, which the server must refuse."""
        if self.crashes >= MAX_CRASHES:
            return
        try:
            answer = self.servers.get().invoke(body)
        except DeployError as error:
            self._crashed(title, error)
            return
        if not 400 <= answer.status < 500:
            self.faults.append(f"{title}: this broken request gets status {answer.status}")

    def _crashed(self, title: str, error: DeployError) -> None:
        self.crashes += 1
        rest = "; nothing more was sent" if self.crashes == MAX_CRASHES else ""
        self.faults.append(f"{title}: {error.what}{rest}")
