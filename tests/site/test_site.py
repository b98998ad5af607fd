"""The site of docs/: built with every warning an error, looked at in Chromium, searched from files and over HTTP."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from ftkit.testing.observers import sample_run
from tests.wheels import once

ROOT = Path(__file__).parents[2]
PAGES = (
    "docs/README",
    "README",
    "docs/rollouts",
    "docs/reference/recipe",
    "benchmarks/README",
    "plugins/ftkit-ray/README",
    "search",
)
"""One page of each sort: they have all that pages of the site are made of."""


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """What `make site` does, into another folder."""
    options = ["--quiet", "--fail-on-warning", "--fresh-env", "--conf-dir", "docs", "--doctree-dir", f"{site}-doctrees"]
    command = [sys.executable, "-m", "sphinx", *options, ".", str(site)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of this checkout."""

    def make(folder: Path) -> None:
        built = build(ROOT, folder)
        assert built.returncode == 0, built.stderr[-3000:]

    return once(tmp_path_factory, "site", make)


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The site on a plain HTTP server."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository of two pages with the configuration of this one."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("*.md", "*.json", "__pycache__"))
    (tmp_path / "docs" / "README.md").write_text("# Pages\n\n## Start\n\n- [Tour](tour.md): what is where\n")
    (tmp_path / "docs" / "tour.md").write_text("# Tour\n\n## Rooms\n\nBack to [the start](README.md#start).\n")
    return tmp_path


def test_a_repository_of_two_pages_builds(small: Path) -> None:
    built = build(small, small / "site")
    assert (built.returncode, built.stderr) == (0, "")
    page = (small / "site" / "docs" / "README.html").read_text()
    assert 'href="tour.html"' in page.partition('class="sidebar-tree"')[2].partition("</aside>")[0]
    assert "docs/README.html" in (small / "site" / "index.html").read_text()


def test_each_link_to_what_is_not_there_fails_the_build_and_is_named_with_its_line(small: Path) -> None:
    mistakes = {
        "[gone](gone.md)": "gone.md",
        "[gone](README.md#gone-here)": "gone-here",
        "[gone](#gone-too)": "gone-too",
        "[gone](../recipes/gone.toml)": "gone.toml",
        "[gone](../plugins/gone)": "plugins/gone",
        "![gone](gone.png)": "gone.png",
    }
    with (small / "docs" / "tour.md").open("a") as page:
        page.write("".join(f"\n{each}\n" for each in mistakes))
    built = build(small, small / "site")
    assert built.returncode != 0
    for line, warning in enumerate(mistakes.values()):
        (text,) = [each for each in built.stderr.splitlines() if f"tour.md:{7 + 2 * line}: " in each]
        assert warning in text


def test_a_page_that_the_start_page_does_not_list_fails_the_build(small: Path) -> None:
    (small / "docs" / "lost.md").write_text("# Lost\n")
    built = build(small, small / "site")
    assert built.returncode != 0
    assert "lost.md" in built.stderr


def test_a_screenshot_is_shown_where_it_has_been_made_and_leaves_no_trace_elsewhere(small: Path) -> None:
    with (small / "docs" / "tour.md").open("a") as page:
        page.write("\n<!-- screenshot made.svg: A terminal -->\n\n<!-- screenshot missing.svg: A report -->\n")
    (small / "build" / "screenshots").mkdir(parents=True)
    (small / "build" / "screenshots" / "made.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    built = build(small, small / "site")
    assert (built.returncode, built.stderr) == (0, "")
    page_text = (small / "site" / "docs" / "tour.html").read_text()
    assert page_text.count("<img") == 1
    assert 'alt="A terminal"' in page_text
    assert "missing.svg" not in page_text


def test_the_navigation_leads_from_the_quickstart_over_tutorials_and_how_to_to_the_reference(site: Path) -> None:
    page = (site / "docs" / "README.html").read_text(encoding="utf-8").partition('class="sidebar-tree"')[2]
    order = ["../README.html", "tutorials/your_csv.html", "tutorials/plugin.html", "tutorials/azure.html"]
    order += ["tutorials/cluster.html", "recipes.html", "concepts.html", "reference/README.html", "directory.html"]
    places = [page.index(f'href="{each}"') for each in order]
    assert places == sorted(places)


def test_every_address_in_the_pages_is_a_file_of_the_site_or_a_link_that_only_a_person_follows(site: Path) -> None:
    from bs4 import BeautifulSoup

    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 50
    lost = []
    for page in pages:
        content = BeautifulSoup(page.read_bytes(), "html.parser")
        for tag in content.select("link[href], script[src], img[src], iframe[src], a[href]"):
            address = str(tag.get("href") or tag["src"])
            parts = urlsplit(urljoin(page.as_uri(), address))
            if tag.name == "a" and parts.scheme in ("http", "https", "mailto"):
                continue
            if parts.scheme != "file" or not Path(unquote(parts.path)).is_file():
                lost.append(f"{page.relative_to(site)}: {address}")
    assert lost == []


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_pages_are_accessible_never_scroll_sideways_and_ask_no_other_host(
    chromium: Any, site: Path, width: int, scheme: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    requested: list[str] = []
    errors: list[str] = []
    context.route("http*://**", lambda route: route.abort())
    page = context.new_page()
    page.on("request", lambda request: requested.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    for name in PAGES:
        page.goto((site / f"{name}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        results = Axe().run(page)
        assert results.violations_count == 0, f"{name}\n{results.generate_report()}"
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    assert [each for each in requested if not each.startswith(("file:", "data:"))] == []
    assert errors == []
    context.close()


@pytest.mark.parametrize("served", [False, True], ids=["files", "http"])
def test_the_search_finds_an_option_and_leads_to_its_page(
    chromium: Any, site: Path, address: str, served: bool
) -> None:
    root = address if served else site.as_uri()
    page = chromium.new_page()
    requested: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{root}/index.html")
    page.wait_for_url(f"{root}/docs/README.html")
    page.get_by_role("textbox", name="Search").fill("near copies")
    page.keyboard.press("Enter")
    found = page.locator('#search-results li a:text-is("Concepts")').first
    found.evaluate("link => link.click()")  # wherever it is: results and their excerpts still move it
    page.get_by_role("heading", name="Concepts", level=1).wait_for()
    assert {urlsplit(each).netloc for each in requested} == {urlsplit(root).netloc}
    assert errors == []
    page.close()


def test_one_button_changes_between_light_and_dark(chromium: Any, site: Path) -> None:
    page = chromium.new_page(viewport={"width": 1440, "height": 900})
    page.goto((site / "docs" / "README.html").as_uri())
    seen = set()
    for _ in range(3):
        page.get_by_role("button", name="Toggle Light / Dark / Auto color theme").filter(visible=True).first.click()
        seen.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(seen) == 2
    page.close()


def test_the_picture_of_a_terminal_is_the_display_of_a_run_and_asks_no_host(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("screenshots", ROOT / "docs" / "screenshots.py")
    assert spec is not None
    assert spec.loader is not None
    screenshots = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(screenshots)
    photographer = screenshots.Photographer(tmp_path / "terminal.svg")
    for event in sample_run():
        photographer(event)
    picture = (tmp_path / "terminal.svg").read_text(encoding="utf-8")
    assert "macro_f1" in picture
    assert re.search(r"@import|@font-face|url\((?!#)|href=.https?:", picture) is None
