"""The platform of docs/plugins.md against the conformance kit, as it stands there."""

import os
import re
import sys
from pathlib import Path

import pytest

from ftkit import plugins
from ftkit.testing.platforms import PlatformSuite

GUIDE = Path(__file__).parents[2] / "docs" / "plugins.md"


def code():
    (text,) = re.findall(r"^```python\n# ftkit_command.py\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    return text


def test_the_platform_of_the_guide_has_sixty_statements_at_most():
    lines = [line for line in code().splitlines() if line.strip() and '"""' not in line and "import" not in line]
    assert len(lines) <= 60


class TestCommand(PlatformSuite):
    @pytest.fixture
    def component(self, surroundings, tmp_path, monkeypatch):
        """Installed like any plugin, so that the workers find it too; `nice` stands for what starts a process elsewhere."""
        folder = tmp_path / "plugins"
        info = folder / "ftkit_command-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ftkit-command\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[ftkit]\ncommand = ftkit_command\n")
        (folder / "ftkit_command.py").write_text(code())
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        plugins.load.cache_clear()
        (command,) = [each for each in plugins.load().offers if each.name == "command"]
        yield command.component(command=("nice", "-n", "1"))
        sys.modules.pop("ftkit_command", None)
        plugins.load.cache_clear()
