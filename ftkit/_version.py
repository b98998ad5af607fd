"""ftkit's version and the number of its plugin API, in the one place that knows them."""

__version__ = "0.1.0"

API = 1
"""The number of the plugin API: one more in every release that adds something which a plugin may need, or removes something."""

OLDEST_API = 1
"""The oldest number that still works: it rises when something is removed that plugins of older numbers may use."""
