"""The site: docs/ as it stands, and the pages of the repository that docs/ links to. `make site` builds it into site/.

The source folder of Sphinx is the repository's root, so that every link between Markdown files means the same here and on a code host.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
SCREENSHOTS = ROOT / "build" / "screenshots"

project = "ftkit"
html_title = "ftkit"
language = "en"
root_doc = "docs/README"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/**.md",
    "benchmarks/README.md",
    "plugins/*/README.md",
]
exclude_patterns = [".*", "build", "dist", "site", "**/node_modules", "**/__pycache__"]

extensions = ["myst_parser"]
myst_heading_anchors = 4  # an anchor for every heading, by the rule of code hosts
myst_disable_syntax = [
    "myst_block_break",
    "myst_line_comment",
    "myst_role",
    "myst_target",
]  # Markdown as code hosts read it
smartquotes = False  # options and code in prose stay as they are typed
highlight_language = "text"

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_use_index = False
html_copy_source = False
html_show_copyright = False
html_show_search_summary = False  # it would be fetched, which no browser does from a file
html_extra_path = ["_root"]  # index.html, which leads to the start page

LISTED = re.compile(r"^- \[([^\]]+)\]\(([^)#:]+)\.md\)", re.MULTILINE)
FOLDER = re.compile(r"(?<=\]\()(?!#)([^):#\s]+?)/?(?=[#)])")
SCREENSHOT = re.compile(r"^<!-- screenshot (\S+): (.+) -->$", re.MULTILINE)


def complete(app: Sphinx, page: str, source: list[str]) -> None:
    """Give a page what only the site needs: the navigation that its lists are, links to folders, screenshots."""
    folder = (ROOT / page).parent
    text = FOLDER.sub(lambda link: _readme(folder, link[1]), source[0])
    text = SCREENSHOT.sub(lambda marker: _screenshot(folder, *marker.groups()), text)
    if page in (root_doc, "docs/reference/README"):
        text += _navigation(text)
    elif page == "docs/directory":
        text += "\n```{toctree}\n:hidden:\n:glob:\n\n../plugins/*/README\n```\n"
    source[0] = text


def _navigation(text: str) -> str:
    """A hidden table of contents for each list of links, under the heading above it."""
    trees = []
    for section in re.split(r"^(?=## )", text, flags=re.MULTILINE):
        caption = re.match(r"## (.+)", section)
        entries = "\n".join(f"{title} <{target}>" for title, target in LISTED.findall(section))
        if entries:
            trees.append(
                f"\n```{{toctree}}\n:hidden:\n{f':caption: {caption[1]}' if caption else ''}\n\n{entries}\n```\n"
            )
    return "".join(trees)


def _readme(folder: Path, target: str) -> str:
    """A link to a folder means the page that a code host shows there."""
    return f"{target}/README.md" if (folder / target / "README.md").is_file() else target


def _screenshot(folder: Path, name: str, description: str) -> str:
    """The picture, where `make screenshots` has made it."""
    if not (SCREENSHOTS / name).is_file():
        return ""
    return f"![{description}]({os.path.relpath(SCREENSHOTS / name, folder)})"


def setup(app: Sphinx) -> None:
    """Join the build."""
    app.connect("source-read", complete)
