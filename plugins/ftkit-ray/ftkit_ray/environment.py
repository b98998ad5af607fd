"""What Ray remembers of the environment of this process."""

from __future__ import annotations

import importlib
from typing import Any


def read_again() -> None:
    """Let Ray see the environment as it is now: it read how to sign in when it was imported, or when it was connected before."""
    internals: Any = importlib.import_module("ray._raylet")
    internals.Config.initialize("")
    internals.AuthenticationTokenLoader.instance().reset_cache()
