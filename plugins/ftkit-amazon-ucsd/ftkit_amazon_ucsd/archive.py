"""The categories of the archive and the names of its files.

Source: Amazon product data, 2014 (McAuley and others), http://jmcauley.ucsd.edu/data/amazon/links.html
"""

from __future__ import annotations

import difflib
import re

BASE_URL = "http://snap.stanford.edu/data/amazon/productGraph/categoryFiles"

CATEGORIES = (
    "Amazon_Instant_Video",
    "Apps_for_Android",
    "Automotive",
    "Baby",
    "Beauty",
    "Books",
    "CDs_and_Vinyl",
    "Cell_Phones_and_Accessories",
    "Clothing_Shoes_and_Jewelry",
    "Digital_Music",
    "Electronics",
    "Grocery_and_Gourmet_Food",
    "Health_and_Personal_Care",
    "Home_and_Kitchen",
    "Kindle_Store",
    "Movies_and_TV",
    "Musical_Instruments",
    "Office_Products",
    "Patio_Lawn_and_Garden",
    "Pet_Supplies",
    "Sports_and_Outdoors",
    "Tools_and_Home_Improvement",
    "Toys_and_Games",
    "Video_Games",
)


def listed(category: str) -> str | None:
    """A category as the archive writes it; case does not matter, and words may be joined by _, -, & or spaces."""
    return {_bare(name): name for name in CATEGORIES}.get(_bare(category))


def file_name(category: str, five_core: bool) -> str:
    """The name of a category's file; a category that is not listed is used as it is, for mirrors that have it."""
    name = listed(category) or re.sub(r"\s+", "_", category.strip())
    return f"reviews_{name}{'_5' * five_core}.json.gz"


def advice(category: str) -> str:
    """A hint with the most similar categories, or with all of them."""
    bare = {_bare(name): name for name in CATEGORIES}
    near = difflib.get_close_matches(_bare(category), bare, 3, 0.6)
    near += [name for name in bare if name not in near and len(_bare(category)) > 3 and _bare(category) in name]
    if near:
        return f"Did you mean {' or '.join(repr(bare[name]) for name in near[:3])}?"
    return f"The archive has {', '.join(CATEGORIES)}."


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold().replace("&", "and"))
