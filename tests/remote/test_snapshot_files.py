"""The files of a recipe are taken along to the steps: one, a list, or those that match a pattern."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftkit import remote
from ftkit.bundle.requirements import Distributions
from ftkit.contracts import SPLITS
from ftkit.recipe import loader
from ftkit.remote import snapshot
from ftkit.testing import toys

RECIPE = """
name = "several"
[dataset]
use = "table"
path = {path}
[backbone]
use = "toy-words"
"""


@pytest.mark.parametrize(
    "path", ['"part-1.csv"', '["part-1.csv", "more/part-1.csv"]', '"part-*.csv"', '["more/*.csv", "part-*.csv"]']
)
def test_the_steps_read_the_rows_that_the_client_has(tmp_path: Path, path: str) -> None:
    for place in ("part-1.csv", "part-2.csv", "more/part-1.csv"):
        file = tmp_path / "client" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = (f"text {number} of {place},{('bad', 'good')[number % 2]}\n" for number in range(20))
        file.write_text("text,label\n" + "".join(rows))
    (tmp_path / "client" / "recipe.toml").write_text(RECIPE.format(path=path))
    with toys.install(tmp_path / "plugins"):
        plan = loader.load(tmp_path / "client" / "recipe.toml")
        folder = tmp_path / "step"
        folder.mkdir()
        snapshot.pack(plan, folder, Distributions(()), scripts={}, replaced=(), most_mb=1, hint="")
        before = plan.dataset.load(1, lambda event: None)
        for file in (tmp_path / "client").rglob("*.csv"):
            file.unlink()
        contents = snapshot.read(folder)
        after = remote.plan(contents.recipe, contents.overrides).dataset.load(1, lambda event: None)
    assert [getattr(after, name) for name in SPLITS] == [getattr(before, name) for name in SPLITS]
