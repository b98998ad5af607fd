"""Drawings of anybody's making as part of a page: nothing in them runs, loads or changes what is around them."""

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
"""Elements that draw, and nothing else."""
_REFERENCES = ("href", "{http://www.w3.org/1999/xlink}href")
_URL = re.compile(r"url\(\s*['\"]?(#?)([^)'\"]*)['\"]?\s*\)", re.IGNORECASE)
_FONT = re.compile(r"(font-family\s*:[^;]*;?\s*)|(font\s*:\s*([\d.]+px)[^;]*;?)")


def inline(drawing: str | None, name: str, most: int = 2_000_000) -> Markup | None:
    """`inlined` for a template; nothing of nothing."""
    from markupsafe import Markup

    return Markup(inlined(drawing, name, most)) if drawing else None  # noqa: S704  only shapes are left in it


def inlined(drawing: str, name: str, most: int = 400_000) -> str:
    """A drawing as elements of an HTML page, with ids that begin with `name`.

    What does not draw is left out, and so are addresses; letters take the page's font.
    Raises: ValueError for what is no SVG, or is longer than `most` characters.
    """
    if len(drawing) > most:
        raise ValueError(f"the drawing has {len(drawing):,} characters; up to {most:,} are shown")
    if "<!DOCTYPE" in drawing or "<!ENTITY" in drawing:
        raise ValueError("the drawing declares entities")
    try:
        root = ElementTree.fromstring(drawing)  # noqa: S314  entities, which are the danger, were refused
    except ElementTree.ParseError as error:
        raise ValueError(f"the drawing is no SVG: {error}") from error
    if _tag(root) != "svg":
        raise ValueError("the drawing is no SVG")
    return "".join(_written(root, name))


def breadth(drawing: str, widest: float = 34.0) -> str:
    """How wide a drawing may become on a page, so that letters are equally large in all; 432 units are `widest`."""
    box = re.search(r'viewBox="[-\d.e]+ [-\d.e]+ ([\d.]+) ', drawing)
    return f"{min(1.0, float(box[1]) / 432) * widest:.1f}rem" if box else f"{widest:g}rem"


def _written(element: ElementTree.Element, name: str) -> Iterator[str]:
    tag = _tag(element)
    if tag not in SHAPES:
        return
    attributes = dict(_attributes(element, name))
    if tag == "svg":
        # Its own size is a wish: the page may have less room. Lines are joined as matplotlib's style sheet has it.
        attributes = {key: value for key, value in attributes.items() if key not in ("width", "height", "id")}
        attributes.setdefault("role", "img")
        attributes["style"] = "stroke-linejoin:round;stroke-linecap:butt"
    yield f"<{tag}{''.join(f' {key}={quoteattr(value)}' for key, value in attributes.items())}>"
    yield escape((element.text or "").strip() if tag not in ("text", "tspan", "title", "desc") else element.text or "")
    for child in element:
        yield from _written(child, name)
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
            own = _URL.sub(lambda found: f"url(#{name}-{found[2]})" if found[1] else "none", value)
            yield key, _FONT.sub(lambda found: f"font-size:{found[3]};" if found[3] else "", own)


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
