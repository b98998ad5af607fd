"""A bundle to serve: the quickstart's encoder with an untrained head, which costs the same as a trained one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from ftkit.bundle import bundle, promotion_record
from ftkit.contracts import Data, DataReport, Split, Verdict
from ftkit.errors import PluginError

CLASSES = ("negative", "positive")
SENTENCE = "The strings sound bright and hold their tune, but the box came late and its corner was bent."


def make(folder: Path, engines: tuple[Any, ...] | None = None) -> Any:
    """A bundle with these engines, or with all that can be exported here, which may be deployed on any of them."""
    from ftkit_quickstart.minilm import MiniLM, packaged

    from ftkit.encoders import checkpoint
    from ftkit.encoders.inference.classifier import EncoderClassifier
    from ftkit.encoders.tokenization import Tokenizer

    saved = checkpoint.read(packaged())
    EncoderClassifier(saved.model(CLASSES), Tokenizer(saved.tokenizer, saved.limit), 512).save(folder / "model")
    component = MiniLM(engines=available() if engines is None else engines)
    written = bundle.write(
        folder / "bundle",
        model=folder / "model",
        classes=CLASSES,
        backbone={"use": "minilm"},
        recipe='name = "benchmark"\n',
        card="# Benchmark\n",
        sample_texts=[SENTENCE],
        about={"run": "benchmark"},
        export=component.export if component.engines else None,
        engines=component.engines,
    )
    # An endpoint chooses the fastest engine that passed the tests: here all of them count as passed.
    let_through(written, {promotion_record.judged(engine): 1.0 for engine in component.engines})
    return written


def available() -> tuple[Any, ...]:
    """The engines whose packages are installed."""
    from ftkit_quickstart.minilm import MiniLM

    from ftkit.encoders.config import EngineName

    no_report = DataReport("nothing", 0, {}, {}, {}, "")
    data = Data(CLASSES, Split((), ()), Split((), ()), Split((), ()), no_report)
    installed = []
    for engine in get_args(EngineName):
        try:
            MiniLM(engines=(engine,)).foresee(data)
            installed.append(engine)
        except PluginError:
            continue
    return tuple(installed)


def let_through(written: Any, numbers: Mapping[str, float]) -> None:
    """Write the promotion record that an endpoint requires: it states that no test has judged this model."""
    why = promotion_record.Override("its head is untrained; what it costs is measured", "python -m benchmarks", "now")
    promotion_record.write(
        written.folder,
        promotion_record.PromotionRecord(
            bundle=written.hash, run="benchmark", recipe="", tests=[], data="", rows=0, metrics={}, champion=None,
            verdicts=(Verdict("none", "failed", "nobody has judged this model", numbers),), promoted=False,
            sentence="Not promoted: nobody has judged this model.", by=why.by, at=why.at, ftkit="", override=why,
        ),
    )  # fmt: skip
