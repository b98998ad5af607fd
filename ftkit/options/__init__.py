"""A component's fields as recipe options: their documentation, their conversion from TOML, their JSON Schema.

Field names, types, defaults and the string under each field are the only description of an option; recipes,
`ftkit options`, the editor schema and the reference pages all read it here.
"""

from __future__ import annotations

from ftkit.options.conversion import (
    Mistake,
    Mistakes,
    build,
    changed,
    convert,
    json_schema,
    local_paths,
    made,
    names_elsewhere,
    resolve_paths,
)
from ftkit.options.description import Option, field_docs, names, options, summary, to_table, toml_value
from ftkit.options.soundness import examine
from ftkit.options.type_names import FolderOrId, type_name

__all__ = [
    "FolderOrId",
    "Mistake",
    "Mistakes",
    "Option",
    "build",
    "changed",
    "convert",
    "examine",
    "field_docs",
    "json_schema",
    "local_paths",
    "made",
    "names",
    "names_elsewhere",
    "options",
    "resolve_paths",
    "summary",
    "to_table",
    "toml_value",
    "type_name",
]
