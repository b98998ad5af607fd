"""The options of the platform `hyperdrive`: those of every pipeline in Azure, and what SDK v1 alone has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from ftkit_azure.options import PipelineOptions, data_parts


@dataclass(frozen=True, kw_only=True)
class HyperDriveOptions(PipelineOptions):
    """What a recipe lets the platform choose."""

    data_noun: ClassVar[str] = "registered Dataset"

    environment_variables: Mapping[str, str] = field(default_factory=dict)
    """Variables for every step. They are stored in the workspace for all to read, so a secret does not belong here."""
    data: Mapping[str, str] = field(default_factory=dict)
    """Registered Datasets by the option that names their files: `{ "dataset.path" = "reviews:3/reviews_Automotive_5.json.gz" }` is
    a file of version 3 of the Dataset `reviews`; without a version it is the latest."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.search_minutes > 10080:
            raise ValueError("search_minutes must be at most 10080, which is where HyperDrive ends a search")
        for key, named in self.data.items():
            if (version := data_parts(named)[1]) and not version.isdigit():
                raise ValueError(f"data.{key} must name a version by its number, not {version!r}")
