"""Holds a checkpoint to the licences that a recipe allows, by what its own model card says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.contracts.backbones import UNKNOWN, declared
from ftkit.errors import CheckpointError

if TYPE_CHECKING:
    from ftkit.encoders.config import EncoderConfig

CARD = "README.md"


def check(encoder: EncoderConfig) -> None:
    """Refuse a checkpoint under another licence than the options allow. Raises: CheckpointError.

    Where the options name the checkpoint of the class, its declaration was checked when the recipe was loaded.
    """
    if not encoder.licences or declared(encoder) is not None:
        return
    from ftkit.encoders.checkpoint import open_checkpoint

    folder = open_checkpoint(encoder).folder
    if encoder.allows(licence := licence_of(folder)):
        return
    allowed = ", ".join(encoder.licences)
    what = f"is under the licence {licence!r}" if licence else f"has no {CARD} that says its licence"
    hint = "Choose another checkpoint, or add the licence to backbone.licences."
    if not licence:
        hint = f'Choose another checkpoint, or add "{UNKNOWN}" to backbone.licences if you know that you may use it.'
    raise CheckpointError(f"the checkpoint {what}; the recipe allows {allowed}", where=str(folder), hint=hint)


def licence_of(folder: Path) -> str:
    """The licence in the head of a checkpoint's model card; empty where it names none."""
    import yaml
    from huggingface_hub import metadata_load

    try:
        head = metadata_load(folder / CARD) or {}
    except (OSError, ValueError, yaml.YAMLError):  # a card that cannot be read says nothing
        return ""
    licence = head.get("license")
    if licence == "other":
        licence = head.get("license_name") or licence
    return str(licence or "").lower()
