"""A recipe that is carried out in a home that is gone afterwards."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftkit.contracts import Outcome
    from ftkit.events import Event


def run(recipe: Mapping[str, Any], emit: Callable[[Event], None] = lambda event: None) -> Outcome:
    """Run a recipe, given as tables; in a process of its own, since FTKIT_HOME is set."""
    import tomli_w

    from ftkit import runner
    from ftkit.recipe import loader

    with tempfile.TemporaryDirectory() as folder:
        os.environ["FTKIT_HOME"] = folder
        path = Path(folder) / "recipe.toml"
        path.write_text(tomli_w.dumps(recipe), encoding="utf-8")
        return runner.run(loader.load(path), emit)
