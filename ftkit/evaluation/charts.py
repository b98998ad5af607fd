"""Drawings for verdicts as SVG: the same bytes for the same numbers, in the colour of the text around them."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#0a0b0c"
"""Stands for the colour of the surrounding text until the drawing is written."""
GOOD, BAD, CALM = "#2a9d62", "#d1495b", "#4c86c6"
"""Told apart on white and on black, and by most who are colour-blind; never the only sign of what they mean."""

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
    """An SVG of one pair of axes that `draw` fills; `title` is read out where nobody sees it."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    written = io.StringIO()
    style: Any = _STYLE | {"svg.hashsalt": f"ftkit {title}"}
    with mpl.rc_context(style), warnings.catch_warnings():
        # The viewer's own fonts draw the letters: those missing here are not missing there.
        warnings.filterwarnings("ignore", message="Glyph")
        canvas = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(canvas)
        draw(canvas.subplots())
        canvas.savefig(written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = written.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r'<g id="[^"]*">', "<g>", text)  # several drawings on one page must not share names
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)
