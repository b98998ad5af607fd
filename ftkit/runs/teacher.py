"""The champion as the teacher of a run: its bundle is fetched once, to where every trial finds it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from ftkit.bundle import bundle as bundles
from ftkit.contracts import CHAMPION, Distilling, Emit, Registry, capable, events
from ftkit.errors import LedgerError, StageError
from ftkit.plugins.calls import call
from ftkit.runs.stored_data import TEACHER

if TYPE_CHECKING:
    from ftkit.contracts.plan import Plan
    from ftkit.runs.ledger import Ledger


def fetch(plan: Plan, ledger: Ledger, emit: Emit) -> None:
    """Fetch the champion if the backbone learns from it and an interrupted run has not done so. Raises: StageError, LedgerError; FtkitError."""
    if not any(
        capable(each, Distilling) and call(Distilling.teacher, each) == CHAMPION for each in plan.every_backbone
    ):
        return
    folder = ledger.folder / TEACHER
    if folder.is_dir():
        return
    champion = call(Registry.champion, plan.registry) if plan.registry is not None else None
    if champion is None or plan.registry is None:
        raise StageError(
            "there is no champion to learn from",
            where="backbone.teacher",
            hint="Promote a model first, or set teacher to the folder of a bundle.",
        )
    partial = folder.with_name(f".{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    bundle = bundles.verify(call(Registry.fetch, plan.registry, champion.version, partial))
    try:
        os.replace(bundle.folder, folder)
    except OSError as error:
        raise LedgerError(f"the teacher cannot be stored: {error.strerror}", where=str(folder)) from error
    shutil.rmtree(partial, ignore_errors=True)
    ledger.append("teacher", version=champion.version, bundle=bundle.hash)
    emit(events.Noticed(f"The model learns from champion version {champion.version} of {champion.model}."))
