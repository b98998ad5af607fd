"""Charts as SVG: reproducible, readable on any page, and safe to put on one page together."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from ftkit.evaluation import charts


def test_a_chart_is_the_same_each_time_and_takes_the_colour_of_its_page() -> None:
    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], label="a < b & $c$")
        axes.set_xlabel("Wörter 語 \ud83d".encode("utf-8", "replace").decode())
        axes.legend()

    one, other = charts.svg('A "title" & more', draw), charts.svg('A "title" & more', draw)
    assert one == other
    root = ElementTree.fromstring(one)
    assert root.get("aria-label") == 'A "title" & more'
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "a < b & $c$" in texts
    assert "currentColor" in one
    assert not re.findall(r"#000000|fill: #ffffff|<g id", one)
