"""`python -m ftkit.reference.directory FILE`: the page of the plugins that ftkit knows of, from the list that comes with it."""

from __future__ import annotations

import sys
from pathlib import Path

from ftkit.plugins.directory import NOT_ENDORSED, Listed, listed


def page() -> str:
    """The page as Markdown."""
    rows = "\n".join(map(_row, listed()))
    return f"""# Plugins that there are

{NOT_ENDORSED}

`ftkit plugins --available` shows the same list, as it was when your ftkit was released; `ftkit plugins` shows what is installed. How a
plugin is written, and what it must do to get into this list: [Writing a plugin](plugins.md#getting-into-the-directory).

| plugin | for | hooks | API |
| --- | --- | --- | --- |
{rows}

Made of `ftkit/plugins/directory.toml` by `make docs`.
"""


def _row(plugin: Listed) -> str:
    link = plugin.link if "://" in plugin.link else f"../{plugin.link}/README.md"
    hooks = ", ".join(f"`{each}`" for each in plugin.kinds)
    return f"| [{plugin.name}]({link}) | {plugin.about} | {hooks} | {plugin.api} |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
