"""What a backbone declares of itself beside what it does."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Protocol, runtime_checkable

from ftkit import formatting
from ftkit.contracts.capability_checks import capable

ANY_LANGUAGE = "any"
"""In place of a language: the model knows none in particular, and learns from texts in any."""
UNKNOWN = "unknown"
"""In place of a licence: nobody has said under which the weights may be used."""


@dataclass(frozen=True)
class Description:
    """The facts by which people choose a backbone, as `ftkit zoo` lists them."""

    family: str
    """The architecture, such as `BERT`."""
    parameters: int | None
    """Parameters of the pretrained model, its embeddings included; None for a model that has none before its training."""
    languages: tuple[str, ...]
    """Languages of the pretraining texts, by ISO 639-1, or `ANY_LANGUAGE`."""
    licence: str
    """Licence of the pretrained weights in the spelling of the Hugging Face hub, such as `apache-2.0`; `UNKNOWN`, or empty for none."""
    longest: int | None
    """Most tokens of a text that are read, special ones included; None where the whole of any text is."""

    @property
    def in_words(self) -> list[tuple[str, str]]:
        """The facts, each with its name; of many languages only how many they are."""
        few = len(self.languages) <= 4
        return [
            ("family", self.family),
            ("parameters", "none" if self.parameters is None else formatting.millions(self.parameters)),
            ("languages", ", ".join(self.languages) if few else str(len(self.languages))),
            ("licence", self.licence or "none"),
            ("tokens", "any" if self.longest is None else f"{self.longest:,}"),
        ]

    def speaks(self, language: str) -> bool:
        """Whether a language is one of its own."""
        return language.lower() in self.languages or self.languages == (ANY_LANGUAGE,)


@runtime_checkable
class Described(Protocol):
    """A backbone that declares the facts by which it is chosen. Nothing requires it."""

    @property
    def description(self) -> Description:
        """These facts: an attribute of the class. They hold for the checkpoint that the class names, and for no other."""
        ...


@runtime_checkable
class FittedAtOnce(Protocol):
    """A backbone without epochs, such as one that solves an equation. Nothing requires it."""

    @property
    def fitted_at_once(self) -> bool:
        """Whether `fit` reports one evaluation only: an attribute of the class."""
        ...


def declared(backbone: Any) -> Description | None:
    """The facts that a backbone declares; None where it declares none, or where its options name another checkpoint."""
    if not capable(backbone, Described):
        return None
    own = {field.name: field.default for field in fields(backbone)}  # type: ignore[arg-type]  # every component is a dataclass
    changed = "checkpoint" in own and getattr(backbone, "checkpoint", None) != own["checkpoint"]
    return None if changed else backbone.description
