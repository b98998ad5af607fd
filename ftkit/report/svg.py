"""SVG charts as part of an HTML page, also those of plugins: nothing in them runs, loads or restyles the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from markupsafe import Markup

SHAPES = frozenset(
    [
        "svg",
        "g",
        "defs",
        "path",
        "line",
        "polyline",
        "polygon",
        "rect",
        "circle",
        "ellipse",
        "text",
        "tspan",
        "use",
        "clipPath",
        "title",
        "desc",
        "linearGradient",
        "radialGradient",
        "stop",
        "marker",
        "symbol",
        "pattern",
        "mask",
    ]
)
"""The elements of SVG that are kept: those that draw."""
CHART_WIDTH = 5.2
"""Inches of a chart of the report: narrow enough that its letters can be read on a phone."""
_REFERENCES = ("href", "{http://www.w3.org/1999/xlink}href")
_URL = re.compile(r"url\(\s*['\"]?(#?)([^)'\"]*)['\"]?\s*\)", re.IGNORECASE)
_FONT = re.compile(r"(font-family\s*:[^;]*;?\s*)|(font\s*:\s*([\d.]+px)[^;]*;?)")


def inline(chart: str | None, name: str, longest: int = 2_000_000) -> Markup | None:
    """A chart for a template, cleaned by `inlined`; None without a chart."""
    from markupsafe import Markup

    return Markup(inlined(chart, name, longest)) if chart else None  # noqa: S704  only shapes are left in it


def inlined(chart: str, name: str, longest: int = 400_000) -> str:
    """A chart as elements of an HTML page, with ids that begin with `name`.

    Elements that do not draw and addresses are left out; text takes the page's font.
    Raises: ValueError for what is not an SVG, or has more than `longest` characters.
    """
    if len(chart) > longest:
        raise ValueError(f"the chart has {len(chart):,} characters; up to {longest:,} are shown")
    if "<!DOCTYPE" in chart or "<!ENTITY" in chart:
        raise ValueError("the chart declares entities")
    try:
        root = ElementTree.fromstring(chart)  # noqa: S314  entities, which are the danger, were refused
    except ElementTree.ParseError as error:
        raise ValueError(f"the chart is not an SVG: {error}") from error
    if _tag(root) != "svg":
        raise ValueError("the chart is not an SVG")
    return "".join(_cleaned(root, name))


def max_width(chart: str, widest: float = 34.0) -> str:
    """The greatest width of a chart on the page, so that all charts have letters of one size; 432 units are `widest`."""
    box = re.search(r'viewBox="[-\d.e]+ [-\d.e]+ ([\d.]+) ', chart)
    return f"{min(1.0, float(box[1]) / 432) * widest:.1f}rem" if box else f"{widest:g}rem"


def _cleaned(element: ElementTree.Element, name: str) -> Iterator[str]:
    tag = _tag(element)
    if tag not in SHAPES:
        return
    attributes = dict(_attributes(element, name))
    if tag == "svg":
        # The page decides the size. Lines are joined as matplotlib's own style sheet would join them.
        attributes = {key: value for key, value in attributes.items() if key not in ("width", "height", "id")}
        attributes.setdefault("role", "img")
        attributes["style"] = "stroke-linejoin:round;stroke-linecap:butt"
    yield f"<{tag}{''.join(f' {key}={quoteattr(value)}' for key, value in attributes.items())}>"
    yield escape((element.text or "").strip() if tag not in ("text", "tspan", "title", "desc") else element.text or "")
    for child in element:
        yield from _cleaned(child, name)
        if tag in ("text", "tspan") and child.tail:
            yield escape(child.tail)
    yield f"</{tag}>"


def _attributes(element: ElementTree.Element, name: str) -> Iterator[tuple[str, str]]:
    for key, value in element.attrib.items():
        if key in _REFERENCES:
            if value.startswith("#"):
                yield "href", f"#{name}-{value[1:]}"
        elif "}" in key or key.lower().startswith("on") or key == "class":
            continue
        elif key == "id":
            yield key, f"{name}-{value}"
        else:
            local = _URL.sub(lambda match: f"url(#{name}-{match[2]})" if match[1] else "none", value)
            yield key, _FONT.sub(lambda match: f"font-size:{match[3]};" if match[3] else "", local)


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
