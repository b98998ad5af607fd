"""The list of components that ftkit's own plugins offer: read off their sources, and carried by the wheel."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ftkit import hookimpl, plugins
from ftkit.bundled_plugins import LIST, able, bundled_plugins, how_to_install, offered
from ftkit.commands.publish import _platforms_that_publish

ROOT = Path(__file__).parent.parent


def test_a_checkout_reads_the_list_off_the_plugins() -> None:
    assert bundled_plugins()["minilm"] == "ftkit-quickstart"
    assert bundled_plugins()["served-parity"] == "ftkit-strict"


def test_only_components_that_are_still_supported_are_recommended() -> None:
    assert able("publish") == ["azureml"]
    assert able("package")[0] == "managed-endpoint"


def test_a_folder_without_plugins_gives_an_empty_list(tmp_path: Path) -> None:
    assert offered(tmp_path) == {}


def test_a_checkout_installs_a_plugin_with_those_of_its_own_that_it_needs() -> None:
    assert how_to_install("ftkit-bert") == "pip install -e plugins/ftkit-bert"
    assert how_to_install("ftkit-azureml") == "pip install -e plugins/ftkit-azure -e plugins/ftkit-azureml"
    assert how_to_install("ftkit-appinsights[otlp]") == "pip install -e 'plugins/ftkit-appinsights[otlp]'"
    assert how_to_install("ftkit[engines]") == "pip install -e '.[engines]'"
    assert how_to_install("ftkit-elsewhere") == "pip install ftkit-elsewhere"
    assert how_to_install("elsewhere>=2") == "pip install 'elsewhere>=2'"


@pytest.mark.parametrize(
    ("published", "command"),
    [
        (True, "pip install 'ftkit[engines]'"),
        (False, "pip install --find-links DIST 'ftkit[engines]', where DIST is the folder with the wheels of ftkit"),
    ],
)
def test_a_wheel_installs_by_name_from_the_day_of_the_release_on(
    published: bool, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "ftkit"
    package.mkdir()
    (package / LIST).write_text("{}", encoding="utf-8")
    monkeypatch.setattr("ftkit.bundled_plugins.__file__", str(package / "bundled_plugins.py"))
    monkeypatch.setattr("ftkit.bundled_plugins.PUBLISHED", published)
    monkeypatch.setattr("ftkit.bundled_plugins.metadata.requires", lambda _: ['ftkit-appinsights==1; extra == "all"'])
    assert how_to_install("ftkit[engines]") == command
    assert how_to_install("ftkit-appinsights").startswith("pip install --find-links") is not published
    assert how_to_install("ftkit-elsewhere") == "pip install ftkit-elsewhere"


def test_no_message_advises_to_install_one_of_ftkits_distributions_by_itself() -> None:
    """`how_to_install` is the one place that knows what is published."""
    pattern = re.compile(r"pip install[^`\n]*ftkit")
    sources = [*(ROOT / "ftkit").rglob("*.py"), *ROOT.glob("plugins/*/ftkit_*/**/*.py")]
    advising = [path for path in sources if pattern.search(path.read_text(encoding="utf-8"))]
    assert advising == [ROOT / "ftkit" / "bundled_plugins.py"]


def test_the_wheel_carries_the_same_list(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--no-build-isolation", "--wheel-dir", tmp_path, ROOT], check=True, timeout=120)
    (wheel,) = tmp_path.glob("ftkit-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert json.loads(archive.read(f"ftkit/{LIST}")) == offered(ROOT / "plugins")


@pytest.mark.parametrize(
    ("installed", "hint"),
    [
        (
            [],
            "Name one that can: --on azureml. It comes with the plugin ftkit-azureml: pip install -e plugins/ftkit-azure",
        ),
        (["hyperdrive"], "Name one that can: --on azureml. "),
        (["hyperdrive", "azureml"], "Name one that can: --on azureml."),
    ],
)
def test_publishing_recommends_a_platform_that_is_still_supported(
    installed: list[str], hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    platforms = {name: plugins.load().find("platforms", name) for name in installed}

    class Offering:
        @hookimpl
        def platforms(self) -> list[type]:
            return list(platforms.values())

    known = plugins.collect([], {"offering": Offering()})
    monkeypatch.setattr(plugins, "load", lambda: known)
    assert _platforms_that_publish().startswith(hint)
