"""The reference pages, made of the code: every component's options, the hook points, the events, the commands.

python -m ftkit.reference docs/reference            writes the pages
python -m ftkit.reference --check docs/reference    fails when they are out of date
"""

from __future__ import annotations

from pathlib import Path

from ftkit import files
from ftkit.bundled_plugins import bundled_plugins
from ftkit.errors import UsageError
from ftkit.plugins import KINDS, Plugins
from ftkit.reference.command_line import command_line
from ftkit.reference.components import components, recipe
from ftkit.reference.contracts import contract_page
from ftkit.reference.hooks import event_page, event_types, hooks
from ftkit.reference.markdown import page

__all__ = ["differences", "event_types", "pages", "write"]


def pages(plugins: Plugins) -> dict[str, str]:
    """Every page by its file name. Raises: UsageError when a bundled plugin is not installed."""
    installed = {each.name for each in plugins.offers}
    missing = sorted({owner for name, owner in bundled_plugins().items() if name not in installed})
    if missing:
        broken = "".join(f" {each.plugin} was set aside: {each.reason}." for each in plugins.broken)
        raise UsageError(
            f"the reference needs every bundled plugin; missing: {', '.join(missing)}",
            hint=f"`make install` installs them all.{broken}",
        )
    texts = {f"{kind}.md": components(kind, plugins) for kind in KINDS}
    texts |= {"recipe.md": recipe(), "hooks.md": hooks(), "events.md": event_page(), "cli.md": command_line()}
    texts["contracts.md"] = contract_page()
    titles = {name: text.partition("\n# ")[2].partition("\n")[0] for name, text in texts.items()}
    contents = "\n".join(f"- [{titles[name]}]({name})" for name in sorted(texts))
    texts["README.md"] = page("Reference", "Made of the code, and checked against it by the tests.", contents)
    return texts


def write(folder: Path, plugins: Plugins) -> list[str]:
    """Write the pages that changed, remove pages about what is gone, and return the names of both."""
    outdated = differences(folder, plugins)
    texts = pages(plugins)
    for name in outdated:
        if name in texts:
            files.write_text(folder / name, texts[name])
        else:
            (folder / name).unlink()
    return outdated


def differences(folder: Path, plugins: Plugins) -> list[str]:
    """Names of pages that are missing, out of date, or about what is gone."""
    texts = pages(plugins)
    written = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    return sorted(name for name in texts.keys() | written.keys() if texts.get(name) != written.get(name))
