"""Whether a plugin fits this ftkit: it may state the number of the plugin API that it was made for.

[project.entry-points.requires_ftkit_api]
1 = "ftkit_recall"

An entry point, so that it is read without importing the plugin: one that does not fit often cannot be imported.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint

from ftkit._version import API, OLDEST_API, __version__
from ftkit.plugins.hooks import Fault

GROUP = "requires_ftkit_api"
"""The group of the entry points that state a number: their name is the number, their value the plugin's module."""


def stated(entry: EntryPoint) -> str:
    """The number that the distribution of a plugin states for it, as it is written; empty if it states none."""
    try:
        numbers = entry.dist.entry_points.select(group=GROUP) if entry.dist else ()
        return next((each.name for each in numbers if each.module == entry.module), "")
    except Exception:  # metadata that cannot be read
        return ""


def misfit(entry: EntryPoint) -> Fault | None:
    """Why a plugin does not fit this ftkit, with what to upgrade; None if it fits, or states no number."""
    number = stated(entry)
    if not number:
        return None
    plugin = entry.dist.name if entry.dist else entry.module
    if not (number.isascii() and number.isdigit() and 0 < len(number) < 7):
        what = f"it requires the plugin API {number!r}, which is no number"
        return Fault(
            what, f'Write {API} = "{entry.module}" below [project.entry-points.{GROUP}], and install it again.'
        )
    if int(number) > API:
        what = f"it requires number {number} of the plugin API, and ftkit {__version__} has number {API}"
        return Fault(what, f"Upgrade ftkit, or use an older release of {plugin}.")
    if int(number) < OLDEST_API:
        supported = f"{OLDEST_API} to {API}" if OLDEST_API < API else f"{API} alone"
        what = f"it was made for number {number} of the plugin API, and ftkit {__version__} supports {supported}"
        return Fault(what, f"Upgrade {plugin}, or use an older release of ftkit.")
    return None
