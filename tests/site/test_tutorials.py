"""The tutorials of docs/tutorials, command by command: your own csv, Azure on the loopback, a cluster on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from tests import tutorials

if TYPE_CHECKING:
    from tests.azure.azure import Azure

PAGES = tutorials.DOCS / "tutorials"


def here(folder: Path, **variables: str) -> tutorials.Run:
    """Runs Python in a folder, with runs and downloads in it too."""
    environment = {**os.environ, "FTKIT_HOME": str(folder / "home"), "FTKIT_CACHE": str(folder / "cache"), **variables}

    def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return run


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_every_command_of_a_tutorial_is_one_that_the_tests_can_run(page: Path) -> None:
    lines = tutorials.commands(page)
    assert len(lines) >= 3
    assert all(map(tutorials.arguments, lines))


def test_what_a_page_shows_must_have_been_printed_in_this_order() -> None:
    tutorials.assert_shown("data: … rows\ndone", "data: 12 rows read\nwell done")
    with pytest.raises(AssertionError, match="'data:'"):
        tutorials.assert_shown("done\ndata:", "data: 12 rows read\nwell done")


def test_sections_take_the_place_of_those_of_the_same_names_and_no_others() -> None:
    recipe = 'name = "a"\n\n[dataset]\nuse = "b"\n\n[search]\ntrials = 1\n\n[[promote]]\nuse = "c"\n'
    after = tutorials.edited(recipe, "[dataset]\nuse = 1\n\n[search]\ntrials = 2\n")
    assert after == 'name = "a"\n\n[dataset]\nuse = 1\n\n[search]\ntrials = 2\n\n[[promote]]\nuse = "c"\n'
    assert tutorials.edited("", "[run]\non = 1\n") == "[run]\non = 1\n\n"


def test_an_untidy_csv_becomes_an_endpoint(tmp_path: Path) -> None:
    run = here(tmp_path)
    try:
        printed = tutorials.follow(PAGES / "your_csv.md", tmp_path, run, "tickets.toml", {})
    finally:
        run(["-m", "ftkit", "endpoint", "stop", "--all"])
    assert len((tmp_path / "answers.csv").read_text(encoding="utf-8").splitlines()) == 625
    assert "tickets" in printed["ftkit endpoint stop tickets"]


def test_a_recipe_becomes_a_pipeline_of_azure(azure: Azure, azure_folder: Path) -> None:
    pytest.importorskip("azure.ai.ml")
    azure.machine.has_identity = True
    run = here(azure_folder)

    def often(arguments: list[str]) -> subprocess.CompletedProcess[str]:
        """The loopback is done in seconds: look at the pipeline more often than every ten."""
        return run([*arguments, "--set", "run.poll=0.2"] if "run" in arguments else arguments)

    printed = tutorials.follow(PAGES / "azure.md", azure_folder, often, "reviews.toml", {})
    azure.operations.wait()
    assert "reviews" in printed["ftkit run reviews.toml --on azureml --deploy none"]


def test_the_trials_of_a_recipe_run_on_ray(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    pytest.importorskip("ray")
    root = tmp_path_factory.getbasetemp()  # one Ray at a time: the tests of the plugin hold the same lock
    with FileLock((root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "ray.lock"):
        tutorials.follow(PAGES / "cluster.md", tmp_path, here(tmp_path), "reviews.toml", {})
