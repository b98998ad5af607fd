"""Contenders whose answers a test chooses, and texts for them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftkit.bundle import bundle as bundles
from ftkit.bundle import manifest as manifests
from ftkit.bundle.bundle import Bundle
from ftkit.contracts import Contender, Data, DataReport, Split
from ftkit.evaluation.contenders import align_classes
from ftkit.serving.server_process import SharedServer
from ftkit.testing import toys
from ftkit.testing.bundles import toy_bundle

REPORT = DataReport("made up", 0, {}, {}, {}, "ab" * 32)


@dataclass
class Rule:
    """A classifier that is a function of the text."""

    classes: tuple[str, ...]
    answer: Callable[[str], Sequence[float]]

    def probabilities(self, texts: Sequence[str]) -> Any:
        return np.array([self.answer(text) for text in texts], dtype=float).reshape(len(texts), len(self.classes))

    def save(self, folder: Path) -> None:
        """Nothing to write: the rule is code of a test."""


class Bench:
    """Makes contenders for one test."""

    classes: tuple[str, ...] = ("negative", "positive")

    def data(self, texts: Sequence[str], labels: Sequence[int], train: Sequence[str] = (), **columns: Any) -> Data:
        """A data set whose test split is these rows."""
        train_split = Split(list(train), [0] * len(train))
        return Data(self.classes, train_split, Split((), ()), Split(list(texts), list(labels), columns), REPORT)

    def scored(self, probabilities: Any, labels: Sequence[int], metric: str = "accuracy", **more: Any) -> Contender:
        """A contender with given test probabilities; for two classes, those of the second are enough."""
        scores = np.asarray(probabilities, dtype=float)
        if scores.ndim == 1:
            scores = np.stack([1 - scores, scores], axis=1)
        texts = more.pop("texts", [f"row {number}" for number in range(len(labels))])
        data = self.data(texts, labels, more.pop("train", ()), **more.pop("columns", {}))
        answers = dict(zip(texts, scores, strict=True))
        rule = Rule(self.classes, lambda text: answers[text])
        return Contender(more.pop("title", "the candidate"), Path(), rule, scores, data, metric, more.pop("seed", 7))

    def ruled(
        self, answer: Callable[[str], float], texts: Sequence[str], labels: Sequence[int] | None = None
    ) -> Contender:
        """A contender that gives the second class the probability that a function computes from the text."""
        rule = Rule(self.classes, lambda text: (1 - answer(text), answer(text)))
        probabilities = rule.probabilities(texts)
        data = self.data(texts, labels if labels is not None else probabilities.argmax(axis=1).tolist())
        return Contender("the candidate", Path(), rule, probabilities, data, "accuracy", 7)


@pytest.fixture
def bench() -> Bench:
    return Bench()


ODD_TEXTS = [
    "",
    "   ",
    "half \ud800 a pair",
    "\udc80",
    "😀" * 50,
    "line\nbreak\x00\x1b[31m",
    "<svg> & $x_1$ “quoted”",
    "x" * 5000,
]


@pytest.fixture
def odd_texts() -> list[str]:
    """Texts that real data holds sooner or later."""
    return list(ODD_TEXTS)


class Workshop:
    """Makes contenders with real bundles that misbehave in chosen ways: see unruly_strict.py."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = toys.ToyReviews().load(7, lambda _: None)

    def bundle(self, name: str, **behaviour: object) -> Bundle:
        """A bundle that has not been loaded yet."""
        beside = {"behaviour.json": json.dumps(behaviour)}
        written = toy_bundle(self.folder / name / "bundle", use="unruly-strict", beside=beside, record="none")
        if engines := behaviour.get("engines"):
            manifest = {**written.manifest, "engines": list(engines)}  # type: ignore[call-overload]
            (written.folder / bundles.MANIFEST).write_text(json.dumps(manifests.sealed(manifest)), encoding="utf-8")
        return bundles.verify(written.folder)

    def contender(self, name: str, **behaviour: object) -> Contender:
        """A contender scored on the toy reviews, as the gate would."""
        bundle = self.bundle(name, **behaviour)
        probabilities = align_classes(bundle.probabilities(self.data.test.texts), bundle.classes, self.data.classes)
        return Contender("the candidate", bundle.folder, bundle.classifier, probabilities, self.data, "accuracy", 7)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Contenders whose bundles other processes can load and serve."""
    folder = tmp_path_factory.mktemp("workshop")
    info = folder / "plugins" / "unruly_strict-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: unruly-strict\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[ftkit]\nunruly-strict = unruly_strict\n")
    shutil.copy(Path(__file__).with_name("unruly_strict.py"), folder / "plugins")
    with toys.install(folder / "plugins"):
        yield Workshop(folder)


@pytest.fixture(scope="module")
def sound(workshop: Workshop) -> Iterator[Contender]:
    """A contender without faults, and a server that the tests of a module share."""
    contender = workshop.contender("sound")
    with SharedServer(contender.bundle, threads=1) as shared:
        yield replace(contender, serving=shared)


@pytest.fixture(scope="session")
def contender_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Contender]:
    """Makes contenders of a real encoder with the real tokenizer, trained for a moment, with a bundle in a given folder."""
    quickstart = pytest.importorskip("ftkit_quickstart", reason="the real encoder comes with ftkit-quickstart")
    data = toys.ToyReviews(rows=80).load(7, lambda _: None)
    backbone = quickstart.MiniLM(epochs=1, batch_size=8, max_length=32, learning_rate=3e-4, offline=True)
    model = tmp_path_factory.mktemp("minilm")
    backbone.fit(data.without_test(), 7, lambda *_, **__: True).save(model)

    def make(folder: Path) -> Contender:
        bundle = bundles.write(
            folder / "bundle",
            model=model,
            classes=data.classes,
            backbone={"use": "minilm"},
            recipe='name = "toy"\n',
            card="# An encoder\n",
            sample_texts=list(data.train.texts[:2]),
            about={"run": "toy"},
        )
        probabilities = bundle.probabilities(data.test.texts)
        return Contender("the candidate", bundle.folder, bundle.classifier, probabilities, data, "accuracy", 7)

    return make
