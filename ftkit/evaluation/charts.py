"""Charts as SVG for verdicts and reports: the same bytes for the same numbers, in the colour of the surrounding text."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#0a0b0c"
"""Stands for the colour of the surrounding text; the SVG has `currentColor` in its place."""
GOOD, BAD, CALM = "#2a9d62", "#d1495b", "#4c86c6"
"""Readable on white and on black, also for most colour-blind readers; colour is never the only sign."""

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "axes.unicode_minus": True,
    **dict.fromkeys(
        ["text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color"], INK
    ),
}


def svg(title: str, draw: Callable[[Axes], None], size: tuple[float, float] = (6.0, 3.2)) -> str:
    """A chart of one pair of axes that `draw` fills; `title` is its text for screen readers."""
    return _drawn(title, size, lambda figure: draw(figure.subplots()))


def stacked(title: str, draws: Sequence[Callable[[Axes], None]], size: tuple[float, float] = (6.0, 6.0)) -> str:
    """A chart of several pairs of axes below each other, over one horizontal axis."""

    def draw(figure: Figure) -> None:
        every = figure.subplots(len(draws), sharex=True, squeeze=False)[:, 0]
        for each, axes in zip(draws, every, strict=True):
            each(axes)
        figure.align_ylabels()

    return _drawn(title, size, draw)


def _drawn(title: str, size: tuple[float, float], draw: Callable[[Figure], None]) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    output = io.StringIO()
    style: Any = _STYLE | {"svg.hashsalt": f"ftkit {title}"}
    with mpl.rc_context(style), warnings.catch_warnings():
        # The viewer's fonts draw the letters, so a glyph that is missing here does not matter.
        warnings.filterwarnings("ignore", message="Glyph")
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        figure.savefig(output, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = output.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r'<g id="[^"]*">', "<g>", text)  # ids of several charts on one page must not clash
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)
