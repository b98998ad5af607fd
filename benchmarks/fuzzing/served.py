"""Small bundles of every form, and hosts that serve them."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ftkit import pairs
from ftkit.bundle import bundle as bundles
from ftkit.bundle import promotion_record as records
from ftkit.bundle.bundle import Bundle
from ftkit.contracts.deciding import AnswerRule
from ftkit.serving.limits import Limits
from ftkit.serving.model_host import ModelHost
from ftkit.testing import toys
from ftkit.testing.bundles import toy_bundle, toy_record
from ftkit.testing.toys import ToyReviews, ToyWords

MODELS = ("texts", "pairs", "several", "unsure")


class Served:
    """Bundles in a folder; the toys are installed while they are used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._stack.enter_context(toys.install(folder / "plugins"))
        self.bundles = {name: self._made(name) for name in MODELS}

    def close(self) -> None:
        """Take the toys away."""
        self._stack.close()

    def host(self, name: str) -> ModelHost:
        """A host that has loaded a model."""
        host = ModelHost(self.bundles[name].folder, Limits(rows=512, size=200_000))
        host.load()
        if host.status.state != "ready":
            raise RuntimeError(host.status.reason)
        return host

    def fields(self, name: str) -> tuple[str, ...]:
        """The names of a row's texts."""
        return self.bundles[name].fields

    def _made(self, name: str) -> Bundle:
        if name == "texts":
            return toy_bundle(self._folder / name, engines={"half": True})
        data = ToyReviews().load(7, lambda _: None).without_test()
        model = self._folder / f"{name}-model"
        model.mkdir()
        trained: Any = ToyWords().fit(data, 7, lambda *_, **__: True)
        task = "multi-label" if name == "several" else "single-label"
        dataclasses.replace(trained, task=task).save(model)
        made = bundles.write(
            self._folder / name,
            model=model,
            classes=data.classes,
            backbone={"use": "toy-words"},
            recipe='name = "toy"\n',
            card="# A toy\n",
            sample_texts=[pairs.join("broke", "bright")] if name == "pairs" else ["broke"],
            about={"run": "toy"},
            task=task,
            fields=("premise", "hypothesis") if name == "pairs" else ("text",),
            rule=AnswerRule(below=0.6, abstains=True) if name == "unsure" else None,
        )
        records.write(made.folder, toy_record(made.hash))
        return made
