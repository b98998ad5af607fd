"""Ready-made search spaces for fine-tuning BERT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ftkit.contracts.space import Choice, Dimension


@dataclass(frozen=True, kw_only=True)
class Original:
    """The space of the Azure ML accelerator that ftkit comes from: seven learning rates, all other values fixed.

    Source: the accelerator's HyperDrive settings; 5.5e-5 worked well on reviews of the category Automotive.
    """

    name: ClassVar[str] = "original"

    def dimensions(self) -> Mapping[str, Dimension]:
        """Learning rates from 3.5e-5 to 6.5e-5, with batches of 8, 4 epochs, no warm-up and no weight decay."""
        return {
            "learning_rate": Choice((3.5e-5, 4e-5, 4.5e-5, 5e-5, 5.5e-5, 6e-5, 6.5e-5)),
            "batch_size": Choice((8,)),
            "epochs": Choice((4,)),
            "warmup": Choice((0.0,)),
            "weight_decay": Choice((0.0,)),
            "adam_beta1": Choice((0.9,)),
            "adam_beta2": Choice((0.999,)),
            "adam_epsilon": Choice((1e-8,)),
        }


@dataclass(frozen=True, kw_only=True)
class BertPaper:
    """The grid that worked across tasks for BERT's authors: 18 combinations.

    Source: Devlin et al. 2019, section A.3.
    """

    name: ClassVar[str] = "bert-paper"

    def dimensions(self) -> Mapping[str, Dimension]:
        """Batch size, learning rate and number of epochs."""
        return {
            "batch_size": Choice((16, 32)),
            "learning_rate": Choice((5e-5, 3e-5, 2e-5)),
            "epochs": Choice((2, 3, 4)),
        }
