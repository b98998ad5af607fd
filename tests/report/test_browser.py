"""The report in a browser: on a screen, on a phone, in a dark colour scheme, on paper, without JavaScript."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ftkit import report
from ftkit.testing.toys import ToyReviews

from .conftest import make_trials, maker, rolled_out, with_texts

SECTIONS = (
    "tests",
    "rollout",
    "metrics",
    "mistakes",
    "flips",
    "slices",
    "certainty",
    "trials",
    "data",
    "time",
    "environment",
    "origin",
)
HOSTILE = (
    "<script>document.title = 'taken over'</script>",
    "<img src=x onerror=\"document.title='taken over'\"> & more",
    "א מה זה עברית and left to right",
    "word" * 400,
)


@pytest.fixture(scope="module")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run that reached every section, with hostile texts."""
    folder = tmp_path_factory.mktemp("report")
    data = with_texts(ToyReviews().load(7, lambda _: None), HOSTILE)
    trials = make_trials(12)
    repeats = [replace(trials[0], number=12 + n, repeats=0, seed=100 + n) for n in range(3)]
    failed = replace(trials[4], state="failed", error="CUDA out of memory <b>", metrics={}, history=[])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTKIT_HOME", str(folder / "home"))
        book = maker(folder)(data=data, trials=[*trials[:4], failed, *trials[5:], *repeats])
        book.append(
            "changed",
            sentences=[
                f"/data/{'long-folder-name/' * 12}rows.csv (dataset.path) has changed; <b>",
                "torch 2.1, now 2.2",
            ],
        )
        rolled_out(book, (0, 5, 50), good=False, name=HOSTILE[1])
        return report.write(book)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_the_page_is_accessible_and_never_scrolls_sideways(
    chromium: Any, page_of: Path, scheme: str, width: int
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto(page_of.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    context.close()


def test_nothing_is_fetched_nothing_is_blocked_and_no_text_of_a_row_runs(chromium: Any, page_of: Path) -> None:
    context = chromium.new_context()
    page = context.new_page()
    requested: list[str] = []
    messages: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(page_of.as_uri())
    assert [url for url in requested if not url.startswith("data:")] == [page_of.as_uri()]
    assert messages == []
    assert page.title().startswith("toy: not promoted")
    assert page.locator("main img").count() == 0
    # The policy blocks a script even when one has got into the page.
    page.evaluate(
        """() => { const script = document.createElement('script'); script.textContent = "document.title = 'taken over'"; document.body.append(script) }"""
    )
    assert page.title().startswith("toy: not promoted")
    context.close()


def test_without_javascript_all_sections_are_shown(chromium: Any, page_of: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_of.as_uri())
    for anchor in SECTIONS:
        assert page.locator(f"h2#{anchor}").is_visible(), anchor
    assert page.locator("main svg[role=img][aria-label]").count() >= 6
    page.locator("summary", has_text="The recipe").click()
    assert page.get_by_text('metric = "macro_f1"').is_visible()
    context.close()


def test_the_links_of_the_page_lead_to_its_sections_and_the_first_tab_skips_to_the_content(
    chromium: Any, page_of: Path
) -> None:
    page = chromium.new_page()
    page.goto(page_of.as_uri())
    targets = page.eval_on_selector_all("a[href^='#']", "all => all.map(each => each.getAttribute('href').slice(1))")
    assert len(targets) > len(SECTIONS)
    assert [each for each in targets if page.locator(f"[id='{each}']").count() != 1] == []
    ids = page.eval_on_selector_all("[id]", "all => all.map(each => each.id)")
    assert len(ids) == len(set(ids))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    page.close()


def test_the_trials_are_sorted_by_the_heading_that_is_pressed(chromium: Any, page_of: Path) -> None:
    page = chromium.new_page()
    page.goto(page_of.as_uri())
    heading = page.locator("table[data-sort] thead th", has_text="Trial")
    numbers = "rows => rows.map(row => Number(row.cells[0].dataset.value))"
    before = page.eval_on_selector_all("table[data-sort] tbody tr", numbers)
    heading.get_by_role("button").click()
    after = page.eval_on_selector_all("table[data-sort] tbody tr", numbers)
    assert after == sorted(before) != before
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.get_by_role("button").click()
    assert page.eval_on_selector_all("table[data-sort] tbody tr", numbers) == sorted(before, reverse=True)
    page.close()


def test_folded_parts_are_printed_too(chromium: Any, page_of: Path) -> None:
    page = chromium.new_page()
    page.goto(page_of.as_uri())
    page.emulate_media(media="print")
    height = page.locator("pre").evaluate("each => each.getBoundingClientRect().height")
    assert height > 40
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()
