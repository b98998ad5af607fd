"""Recipes over the toys for tests to run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ftkit.stages import known_endpoints
from ftkit.testing import toys

LIVE = """
[registry]
use = "mlflow"
model = "toys"

[deploy]
use = "local"
endpoint = "toys"

[rollout]
bake = 0.0
"""
"""The sections that register a promoted model and give it live traffic on this machine."""

JUDGED = f"""
[[promote]]
use = "metric-floor"
floor = 0.6

[[promote]]
use = "beats-champion"
{LIVE}"""
"""Two promotion tests that the toys pass, and then live traffic."""


@contextmanager
def written(folder: Path, text: str = toys.RECIPE) -> Iterator[Path]:
    """A recipe's file for the duration of a block; installs the toys' plugin, and stops all endpoints at the end."""
    path = folder / "toy.toml"
    path.write_text(text)
    with toys.install(folder / "plugins"):
        yield path
        for deployer in known_endpoints.known().values():
            deployer.stop()
