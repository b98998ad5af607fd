"""Recipes over the toys that tests carry out."""

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
"""The sections that take what was promoted to live traffic on this machine."""

JUDGED = f"""
[[promote]]
use = "metric-floor"
floor = 0.6

[[promote]]
use = "beats-champion"
{LIVE}"""
"""A floor that the toys reach and a champion to beat, and then live traffic."""


@contextmanager
def written(folder: Path, text: str = toys.RECIPE) -> Iterator[Path]:
    """A recipe's file, whose plugin this process and its children find; whatever endpoints there are then end with the block."""
    path = folder / "toy.toml"
    path.write_text(text)
    with toys.install(folder / "plugins"):
        yield path
        for deployer in known_endpoints.known().values():
            deployer.stop()
