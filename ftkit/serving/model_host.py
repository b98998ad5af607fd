"""Loads a bundle in the background, warms it up, and says how far it is."""

from __future__ import annotations

import itertools
import json
import logging
import os
import threading
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ftkit import plugins
from ftkit.bundle import bundle as bundles
from ftkit.bundle.bundle import Bundle
from ftkit.contracts import AUTO, NATIVE
from ftkit.contracts.monitoring import BUNDLE_HASH
from ftkit.errors import BundleError, FtkitError
from ftkit.redaction import redacted
from ftkit.serving.batcher import Batcher
from ftkit.serving.engine_choice import Choice, Timing, choose
from ftkit.serving.limits import Limits
from ftkit.serving.live_counts import LiveCounts
from ftkit.serving.monitoring import RequestObserver, deployment_observer
from ftkit.serving.schema import Refusal, parse

log = logging.getLogger("ftkit.serving")

REFUSED = "the bundle cannot be served"
"""What the log says of a bundle that is damaged or whose model does not load; the reason follows."""


@dataclass(frozen=True)
class Status:
    """Whether a host answers, and why not."""

    state: Literal["starting", "ready", "failed"]
    reason: str = ""


def expected(bundle: Bundle) -> Bundle:
    """The bundle, if it is the one that this process must serve. Raises: BundleError."""
    wanted = os.environ.get(BUNDLE_HASH, "")
    if wanted and wanted != bundle.hash:
        raise BundleError(
            f"this is another bundle than the deployment's: its hash begins with {bundle.hash[:12]} and not with {wanted[:12]}",
            where=str(bundle.folder),
            hint="Somebody has put it into the place of the deployment's bundle: delete the deployment and create it again.",
        )
    return bundle


class ModelHost:
    """One bundle being served: a batcher once the model is loaded and warm; until then, or for good, the reason why not.

    `engine` is the bundle's engine that computes; `auto` becomes, while the bundle is loaded, the engine that is
    fastest here of those that the promotion tests passed.
    """

    def __init__(self, folder: Path, limits: Limits | None = None, engine: str = NATIVE) -> None:
        self.folder = folder
        self.engine = engine
        self.timings: Mapping[str, Timing] = {}
        """What each engine took, where `auto` chose between several."""
        self.limits = limits or Limits()
        self.status = Status("starting", "the bundle is being verified")
        self.bundle: Bundle | None = None
        self.batcher: Batcher | None = None
        self.observer: RequestObserver | None = None
        """Passes requests to the watchers of this deployment; None where there are none."""
        self.counts = LiveCounts()
        """What was answered lately."""

    def start(self) -> None:
        """Begin to load; returns at once."""
        threading.Thread(target=self.load, name="ftkit-load", daemon=True).start()

    def close(self) -> None:
        """Refuse the requests that still wait for the model; let watchers finish."""
        if self.batcher:
            self.batcher.close()
        if self.observer:
            self.observer.close()

    def ready(self) -> tuple[Batcher, Bundle]:
        """The batcher and its bundle. Raises: Refusal while there is none."""
        if self.batcher is None or self.bundle is None:
            raise Refusal(
                503,
                f"the model is not ready: {self.status.reason}",
                hint="Ask again in a moment." if self.status.state == "starting" else "See the server's log.",
                headers={"Retry-After": "1"},
            )
        return self.batcher, self.bundle

    def load(self) -> None:
        """Load and warm up in this thread; `status` says how it went."""
        try:
            begun = time.monotonic()
            bundle = expected(bundles.verify(self.folder))
            if (names := tomllib.loads(bundle.recipe).get("run", {}).get("plugins")) is not None:
                plugins.choose(names)  # as in the run: no other plugin watches requests
            self._progress("the model is being loaded")
            choice = choose(bundle) if self.engine == AUTO else None
            choice = choice or Choice(self.engine, bundle.classifier_of(self.engine), {})
            self.engine, self.timings, classifier = choice.engine, choice.timings, choice.classifier
            self._progress("the model is being warmed up")
            batcher = Batcher(classifier, self.limits)
            self._warm_up(batcher, bundle)
            self.observer = deployment_observer(bundle, self.engine, classifier)
            self.bundle, self.batcher = bundle, batcher
            self.status = Status("ready")
            seconds = time.monotonic() - begun
            log.info("ready after %.1f s: bundle %s, engine %s", seconds, bundle.hash[:12], self.engine)
        except BundleError as error:  # what is wrong with which file: where that was noticed helps nobody
            log.error("%s: %s", REFUSED, error)
            self.status = Status("failed", str(error))
        except BaseException as error:  # the process that waits for this server must learn any reason
            log.exception(REFUSED)
            reason = str(error) if isinstance(error, FtkitError) else redacted(f"{type(error).__name__}: {error}")
            self.status = Status("failed", reason)

    def _warm_up(self, batcher: Batcher, bundle: Bundle) -> None:
        """Compute the sample request alone and in full batches, so that no caller pays for the first call."""
        sample = json.dumps(bundle.sample_request).encode()
        texts = [row.text for row in parse(sample, self.limits, bundle.fields).data] or [""]
        for count in sorted({1, min(8, self.limits.batch), self.limits.batch}):
            batcher.submit(list(itertools.islice(itertools.cycle(texts), count))).result()

    def _progress(self, reason: str) -> None:
        self.status = Status("starting", reason)
        log.info(reason)
