"""Skipping positions that the head does not read: logits and gradients stay; models that read more are not changed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ftkit.encoders import first_attention, first_position
from ftkit.encoders.training.cpu import attention as attentions

SIZE = {
    "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "max_position_embeddings": 64, "num_labels": 3,
}  # fmt: skip


def bert(**options):
    from transformers import BertConfig, BertForSequenceClassification

    return BertForSequenceClassification._from_config(BertConfig(**SIZE), **options)


def roberta(**options):
    from transformers import RobertaConfig, RobertaForSequenceClassification

    return RobertaForSequenceClassification._from_config(RobertaConfig(**SIZE, pad_token_id=1), **options)


def electra(**options):
    from transformers import ElectraConfig, ElectraForSequenceClassification

    return ElectraForSequenceClassification._from_config(ElectraConfig(**SIZE, embedding_size=16), **options)


def deberta(**options):
    from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

    config = DebertaV2Config(
        **SIZE, relative_attention=True, position_buckets=16, norm_rel_ebd="layer_norm", share_att_key=True,
        pos_att_type=["p2c", "c2p"], position_biased_input=False, type_vocab_size=0, pooler_hidden_size=16,
    )  # fmt: skip
    return DebertaV2ForSequenceClassification(config)


def distilbert(**options):
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(vocab_size=60, dim=16, n_layers=2, n_heads=2, hidden_dim=32, num_labels=3)
    return DistilBertForSequenceClassification(config)


def modernbert(**options):
    from transformers import ModernBertConfig, ModernBertForSequenceClassification

    special = {"cls_token_id": 2, "bos_token_id": 2, "sep_token_id": 3, "eos_token_id": 3, "pad_token_id": 0}
    return ModernBertForSequenceClassification(ModernBertConfig(**SIZE, **special))


class MeanOfAll(nn.Module):
    """A head that reads every position."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(16, 3)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.dense(hidden.mean(dim=1))


def logits_and_gradients(model):
    """Logits of three rows, one of them padded, and the gradients of all weights."""
    ids = torch.arange(3, 30).view(3, 9)
    mask = torch.ones_like(ids)
    mask[0, 4:] = 0
    model.zero_grad()
    logits = model.eval()(input_ids=ids, attention_mask=mask).logits
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2])).backward()
    parameters = model.named_parameters()
    return logits.detach(), {name: each.grad.clone() for name, each in parameters if each.grad is not None}


WITH_EVERY_ATTENTION = [
    (make, attention) for make in (bert, roberta, electra) for attention in (None, "eager", attentions.NAME)
]


@pytest.mark.parametrize(("make", "attention"), [*WITH_EVERY_ATTENTION, (deberta, None)])
def test_logits_and_gradients_stay_the_same(make, attention):
    attentions.register()
    torch.manual_seed(0)
    model = make(**({"attn_implementation": attention} if attention else {}))
    logits, gradients = logits_and_gradients(model)
    lengths = []
    model.base_model.encoder.layer[-1].output.register_forward_hook(
        lambda *arguments: lengths.append(arguments[-1].shape[1])
    )
    assert first_position.skip_other_positions(model)
    new_logits, new_gradients = logits_and_gradients(model)
    assert lengths[-1] == 1, "the last layer computes one position"
    torch.testing.assert_close(new_logits, logits)
    assert new_gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(new_gradients[name], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", [distilbert, modernbert])
def test_other_architectures_are_not_changed(make):
    torch.manual_seed(0)
    model = make()
    logits, _ = logits_and_gradients(model)
    assert not first_position.skip_other_positions(model)
    torch.testing.assert_close(logits_and_gradients(model)[0], logits, rtol=0, atol=0)


def test_a_model_whose_head_reads_every_position_is_not_changed():
    torch.manual_seed(0)
    model = electra()
    model.classifier = MeanOfAll()
    logits, _ = logits_and_gradients(model)
    assert not first_position.skip_other_positions(model)
    assert not hasattr(model.base_model.encoder.layer[-1].attention.self, first_attention.FIRST_POSITION_ONLY)
    torch.testing.assert_close(logits_and_gradients(model)[0], logits, rtol=0, atol=0)


def test_the_model_stays_in_training_mode():
    model = bert().train()
    first_position.skip_other_positions(model)
    assert model.training
    assert all(each.training for each in model.modules())
