"""The pictures of the docs, made of a real run of the quickstart: `make screenshots`.

terminal.svg   the display of `ftkit run` during the search
report.png     the top of the run's report, in Chromium

python docs/screenshots.py FOLDER [KEY=VALUE…]    with other values for the recipe
"""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from ftkit import runner
from ftkit.contracts.events import Event
from ftkit.display.live import Screen, now
from ftkit.recipe import loader

WIDTH = 100
OWN_FONTS = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
"""Rich's picture of a terminal without its web fonts: pages ask no other host."""


class Photographer:
    """Takes the picture of the terminal when all trials have begun and the last of them is being measured."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.console = Console(file=io.StringIO(), record=True, width=WIDTH, highlight=False, markup=False, emoji=False)
        self.screen = Screen(io.StringIO(), self.console)

    def __call__(self, event: Event) -> None:
        self.screen(event)
        rows = self.screen.board.rows.values()
        measured = any(row.state == "running" and row.cpu is not None for row in rows)
        if not self.path.exists() and len(rows) == self.screen.board.total and measured:
            self.console.print(now(self.screen.board, WIDTH, 40))
            self.console.save_svg(str(self.path), title="ftkit run quickstart", code_format=OWN_FONTS)


def report(page: Path, picture: Path) -> None:
    """The top of a report, as wide as a page of the site shows it."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if path is None:
        raise SystemExit("no Chromium on the PATH: the picture of the report is left out")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        shown = browser.new_page(viewport={"width": 1100, "height": 760}, device_scale_factor=1.5)
        shown.goto(page.as_uri())
        shown.screenshot(path=picture)
        browser.close()


def main(folder: Path, overrides: list[str]) -> None:
    """Run the quickstart in a home of its own, and take the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    terminal = folder / "terminal.svg"
    terminal.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as home:
        os.environ["FTKIT_HOME"] = home
        outcome = runner.run(loader.load("quickstart", overrides, deploy="none"), Photographer(terminal))
        text = terminal.read_text(encoding="utf-8").replace(home, "~/.local/share/ftkit")
        terminal.write_text(text, encoding="utf-8")
        report(outcome.folder / "report.html", folder / "report.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
