"""Models with random weights of every architecture that the library computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

VOCABULARY = 200
PADDING = 1

SIZES: dict[str, Any] = {"vocab_size": VOCABULARY, "num_hidden_layers": 2, "num_labels": 3, "pad_token_id": PADDING}
DEBERTA: dict[str, Any] = {
    **SIZES, "relative_attention": True, "position_buckets": 32, "pos_att_type": ["p2c", "c2p"], "max_position_embeddings": 512,
}  # fmt: skip


def bert(**options: Any) -> Any:
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {"hidden_size": 48, "num_attention_heads": 4, "intermediate_size": 80, **options}
    return BertForSequenceClassification(BertConfig(**SIZES, **sizes))


def roberta() -> Any:
    from transformers import RobertaConfig, RobertaForSequenceClassification

    config = RobertaConfig(
        **SIZES, hidden_size=64, num_attention_heads=2, intermediate_size=80, max_position_embeddings=514
    )
    return RobertaForSequenceClassification(config)


def electra() -> Any:
    from transformers import ElectraConfig, ElectraForSequenceClassification

    config = ElectraConfig(**SIZES, embedding_size=24, hidden_size=64, num_attention_heads=2, intermediate_size=80)
    return ElectraForSequenceClassification(config)


def distilbert() -> Any:
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    return DistilBertForSequenceClassification(DistilBertConfig(**SIZES, dim=64, n_heads=2, n_layers=2, hidden_dim=128))


def mpnet() -> Any:
    from transformers import MPNetConfig, MPNetForSequenceClassification

    config = MPNetConfig(
        **SIZES, hidden_size=64, num_attention_heads=4, intermediate_size=80, max_position_embeddings=514
    )
    return MPNetForSequenceClassification(config)


def deberta(**options: Any) -> Any:
    from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

    sizes = {"hidden_size": 64, "num_attention_heads": 2, "intermediate_size": 80, "pooler_hidden_size": 64, **options}
    return DebertaV2ForSequenceClassification(DebertaV2Config(**DEBERTA, **sizes))


def deberta_v3() -> Any:
    """As DeBERTa-v3 is: positions in attention alone, by the weights of queries and keys."""
    return deberta(share_att_key=True, norm_rel_ebd="layer_norm", position_biased_input=False, type_vocab_size=0)


def deberta_v2() -> Any:
    """With weights of its own for positions, and embeddings that are narrower than the layers; heads are of an odd number."""
    return deberta(hidden_size=96, num_attention_heads=3, pooler_hidden_size=96, embedding_size=40, type_vocab_size=2)


def wide_bert() -> Any:
    """Heads that are wider than a panel."""
    return bert(hidden_size=192, num_attention_heads=2, intermediate_size=100)


MODELS: Mapping[str, Callable[[], Any]] = {
    each.__name__: each
    for each in (bert, wide_bert, roberta, electra, distilbert, mpnet, deberta_v3, deberta_v2)
}  # fmt: skip


@pytest.fixture(scope="session")
def random_model() -> Callable[..., Any]:
    """A model by its name, with weights that make texts differ."""
    import torch

    def made(name: str, **options: Any) -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = MODELS[name](**options)
            for parameter in model.parameters():
                parameter.data.normal_(0, 0.15 if parameter.dim() > 1 else 0.1)
            for module in model.modules():
                if isinstance(module, torch.nn.LayerNorm):
                    module.weight.data.uniform_(0.5, 1.5)
        return model.eval()

    return made
