"""Which of ftkit's own plugins offers a component, so that a missing one can be named: read off the plugins, never listed by hand.

A checkout has the plugins' sources beside the package. A wheel has none, so it carries the same list, which the build makes.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path

LIST = "bundled_plugins.json"
"""The list's file in the package of a wheel."""

_NAME = re.compile(r"^    name(?:: ClassVar\[str\])? = \"([^\"]+)\"$", re.MULTILINE)
"""Where a component says its name."""


@functools.cache
def bundled_plugins() -> Mapping[str, str]:
    """The distribution that offers each component of ftkit's own plugins, by the component's name."""
    package = Path(__file__).parent
    try:
        return json.loads((package / LIST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return offered(package.parent / "plugins")


def offered(folder: Path) -> dict[str, str]:
    """The same, read off the sources in a folder of distributions; empty where it has none."""
    return {
        name: distribution.name
        for distribution in sorted(folder.glob("ftkit-*"))
        for path in sorted(distribution.glob("ftkit_*/**/*.py"))
        for name in _NAME.findall(path.read_text(encoding="utf-8"))
    }
