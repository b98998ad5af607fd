"""From a model of transformers to the arrays that the library computes with; what it does not compute is refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit_native import weights
from ftkit_native.padding import Linear, attention_in, attention_out, padded, up, vector
from ftkit_native.weights import Form

if TYPE_CHECKING:
    import numpy as np

ABSOLUTE, BIASED, DISENTANGLED = range(3)
TANH, RELU, GELU = range(3)


class Unsupported(ValueError):
    """A model that the library does not compute; the message says why."""


@dataclass
class Parts:
    """A model's modules, named by what they do; architectures differ in where they keep them."""

    words: Any
    layers: list[dict[str, Any]]
    """`query`, `key`, `value`, `out`, `up`, `down`, `first` and `second` of each."""
    heads: int
    activation: Any
    pool: Any
    classifier: Any
    epsilon: float
    head_activation: int = TANH
    position: Any = None
    position_base: int = 0
    padding: int = -1
    type: Any = None
    before: Any = None
    """The normalisation of the embeddings before their projection; `after` is that of the layers' width."""
    after: Any = None
    projection: Any = None
    relative: int = ABSOLUTE
    longest: int | None = None
    """Tokens of a text, at most, where no position embeddings say it."""
    distances: Callable[[int], list[dict[str, np.ndarray]]] = field(default=lambda _: [])
    """What layers add by the distance of two tokens, for texts of so many tokens, see the functions below."""


def export(model: Any, path: Path, *, int8: bool, limit: int, typed: bool) -> None:
    """Write a classifier of transformers, for texts of up to `limit` tokens; `typed` models are told the types of tokens.

    Raises: Unsupported; OSError.
    """
    form, arrays = converted(model, int8=int8, limit=limit, typed=typed)
    weights.write(path, form, arrays)


def converted(model: Any, *, int8: bool, limit: int, typed: bool) -> tuple[Form, dict[str, np.ndarray]]:
    """The sizes and weights of a model. Raises: Unsupported."""
    name = type(model).__name__
    if name not in ARCHITECTURES:
        raise Unsupported(f"ftkit-native does not compute {name}")
    parts = ARCHITECTURES[name](model)
    if parts.activation != "gelu":
        raise Unsupported(f"ftkit-native computes gelu, and this {name} has {parts.activation!r:.40}")
    hidden_used, embedding_used = parts.pool.weight.shape[1], parts.words.weight.shape[1]
    head_used = parts.layers[0]["query"].weight.shape[0] // parts.heads
    positions = 0 if parts.position is None else len(parts.position.weight)
    longest = parts.longest or limit
    longest = min(longest, limit) if parts.relative else longest
    longest = min(longest, positions - parts.position_base) if positions else longest
    widths = 2 if parts.relative != DISENTANGLED else 2 * 3
    form = Form(
        layers=len(parts.layers), hidden=up(hidden_used, 64), hidden_used=hidden_used, heads=parts.heads, head=up(head_used, 16),
        inner=up(parts.layers[0]["up"].weight.shape[0], 64), embedding=up(embedding_used, 64), embedding_used=embedding_used,
        vocabulary=len(parts.words.weight), positions=positions, position_base=parts.position_base, padding=parts.padding,
        types=0 if parts.type is None else len(parts.type.weight), classes=len(parts.classifier.weight), longest=longest,
        relative=parts.relative, head_activation=parts.head_activation, int8=int(int8), epsilon=float(parts.epsilon),
        scale=1 / math.sqrt(head_used * widths / 2), typed=typed,
    )  # fmt: skip
    return form, dict(_arrays(parts, form, head_used))


def _arrays(parts: Parts, form: Form, head_used: int) -> Mapping[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    convert = Linear(arrays, bool(form.int8))
    hidden, embedding = form.hidden, form.embedding
    arrays["words"] = convert.bf16(padded(parts.words.weight, form.vocabulary, embedding))
    if parts.position is not None:
        arrays["position"] = padded(parts.position.weight, form.positions, embedding)
    if parts.type is not None:
        arrays["type"] = padded(parts.type.weight, form.types, embedding)
    for name, norm, width in (("before", parts.before, embedding), ("after", parts.after, hidden)):
        if norm is not None:
            arrays[f"{name}_gain"], arrays[f"{name}_bias"] = vector(norm.weight, width), vector(norm.bias, width)
    if parts.projection is not None:
        convert("projection", padded(parts.projection.weight, hidden, embedding), vector(parts.projection.bias, hidden))
    arrays["pool"], arrays["pool_bias"] = padded(parts.pool.weight, hidden, hidden), vector(parts.pool.bias, hidden)
    arrays["classifier"] = padded(parts.classifier.weight, form.classes, hidden)
    arrays["classifier_bias"] = vector(parts.classifier.bias, form.classes)
    heads = (form.heads, head_used, form.head)
    for number, layer in enumerate(parts.layers):
        inputs = attention_in([layer[name] for name in ("query", "key", "value")], *heads, hidden)
        convert(f"{number}.qkv", *inputs)
        convert(f"{number}.out", attention_out(layer["out"].weight, *heads, hidden), vector(layer["out"].bias, hidden))
        convert(f"{number}.up", padded(layer["up"].weight, form.inner, hidden), vector(layer["up"].bias, form.inner))
        convert(f"{number}.down", padded(layer["down"].weight, hidden, form.inner), vector(layer["down"].bias, hidden))
        for name in ("first", "second"):
            arrays[f"{number}.{name}_gain"] = vector(layer[name].weight, hidden)
            arrays[f"{number}.{name}_bias"] = vector(layer[name].bias, hidden)
    tables = parts.distances(form.longest)
    if parts.relative == BIASED:
        arrays["bias"] = tables[0]["bias"] / form.scale
    elif parts.relative == DISENTANGLED:
        for number, table in enumerate(tables):
            for name, values in table.items():
                arrays[f"{number}.{name}"] = convert.bf16(padded(values, *values.shape[:-1], form.head))
    return arrays


# --------------------------------------------------------------------------------------------------------- architectures


def _bert(model: Any) -> Parts:
    return replace(_bert_like(model, model.bert), pool=model.bert.pooler.dense, classifier=model.classifier)


def _bert_like(model: Any, base: Any) -> Parts:
    """Of BERT and what is made like it, with a head in one module."""
    config, embeddings = model.config, base.embeddings
    if config.is_decoder or getattr(config, "position_embedding_type", None) not in (None, "absolute"):
        raise Unsupported("ftkit-native computes encoders with absolute positions")
    projection = getattr(base, "embeddings_project", None)
    norm = embeddings.LayerNorm
    head = model.classifier
    return Parts(
        words=embeddings.word_embeddings, layers=[_bert_layer(each) for each in base.encoder.layer],
        heads=config.num_attention_heads, activation=config.hidden_act, pool=getattr(head, "dense", None),
        classifier=getattr(head, "out_proj", None), epsilon=config.layer_norm_eps, position=embeddings.position_embeddings,
        type=embeddings.token_type_embeddings, before=norm if projection is not None else None,
        after=norm if projection is None else None, projection=projection,
    )  # fmt: skip


def _bert_layer(layer: Any) -> dict[str, Any]:
    attention = layer.attention.self
    names = ("query", "key", "value") if hasattr(attention, "query") else ("query_proj", "key_proj", "value_proj")
    query, key, value = (getattr(attention, name) for name in names)
    return {
        "query": query, "key": key, "value": value, "out": layer.attention.output.dense, "first": layer.attention.output.LayerNorm,
        "up": layer.intermediate.dense, "down": layer.output.dense, "second": layer.output.LayerNorm,
    }  # fmt: skip


def _roberta(model: Any) -> Parts:
    base = model.base_model
    padding = base.embeddings.padding_idx
    return replace(_bert_like(model, base), position_base=padding + 1, padding=padding)


def _electra(model: Any) -> Parts:
    return replace(_bert_like(model, model.electra), head_activation=GELU)


def _distilbert(model: Any) -> Parts:
    config, embeddings = model.config, model.distilbert.embeddings
    layers = [
        {
            "query": each.attention.q_lin, "key": each.attention.k_lin, "value": each.attention.v_lin,
            "out": each.attention.out_lin, "first": each.sa_layer_norm,
            "up": each.ffn.lin1, "down": each.ffn.lin2, "second": each.output_layer_norm,
        }
        for each in model.distilbert.transformer.layer
    ]  # fmt: skip
    return Parts(
        words=embeddings.word_embeddings, layers=layers, heads=config.n_heads, activation=config.activation,
        pool=model.pre_classifier, classifier=model.classifier, epsilon=embeddings.LayerNorm.eps, head_activation=RELU,
        position=embeddings.position_embeddings, after=embeddings.LayerNorm,
    )  # fmt: skip


def _mpnet(model: Any) -> Parts:
    config, base = model.config, model.mpnet
    padding = base.embeddings.padding_idx
    layers = [
        {
            "query": each.attention.attn.q, "key": each.attention.attn.k, "value": each.attention.attn.v,
            "out": each.attention.attn.o, "first": each.attention.LayerNorm,
            "up": each.intermediate.dense, "down": each.output.dense, "second": each.output.LayerNorm,
        }
        for each in base.encoder.layer
    ]  # fmt: skip

    def distances(longest: int) -> list[dict[str, np.ndarray]]:
        import torch

        with torch.no_grad():
            square = base.encoder.compute_position_bias(torch.empty(1, longest, 1))[0]  # (heads, queries, keys)
        # A row by the distance from query to key, from 1 - longest on: the last query's row, then the first one's.
        return [{"bias": torch.cat((square[:, -1, :], square[:, 0, 1:]), 1).float().contiguous().numpy()}]

    return Parts(
        words=base.embeddings.word_embeddings, layers=layers, heads=config.num_attention_heads, activation=config.hidden_act,
        pool=model.classifier.dense, classifier=model.classifier.out_proj, epsilon=config.layer_norm_eps,
        position=base.embeddings.position_embeddings, position_base=padding + 1, padding=padding,
        after=base.embeddings.LayerNorm, relative=BIASED, distances=distances,
    )  # fmt: skip


def _deberta(model: Any) -> Parts:
    config, base = model.config, model.deberta
    embeddings, encoder = base.embeddings, base.encoder
    if encoder.conv is not None:
        raise Unsupported("ftkit-native computes no convolutions, and this DeBERTa has them")
    if not encoder.relative_attention or {*config.pos_att_type} != {"c2p", "p2c"}:
        raise Unsupported("ftkit-native computes DeBERTa with both disentangled terms")
    activations = {"gelu": GELU, "tanh": TANH, "relu": RELU}
    if config.pooler_hidden_act not in activations:
        raise Unsupported(f"ftkit-native has no {config.pooler_hidden_act!r:.40} for the head")

    def distances(longest: int) -> list[dict[str, np.ndarray]]:
        return [_disentangled(encoder, layer.attention.self, longest) for layer in encoder.layer]

    return Parts(
        words=embeddings.word_embeddings, layers=[_bert_layer(each) for each in encoder.layer], heads=config.num_attention_heads,
        activation=config.hidden_act, pool=model.pooler.dense, classifier=model.classifier, epsilon=config.layer_norm_eps,
        head_activation=activations[config.pooler_hidden_act], position=embeddings.position_embeddings,
        type=embeddings.token_type_embeddings, after=embeddings.LayerNorm, projection=embeddings.embed_proj,
        relative=DISENTANGLED, longest=config.max_position_embeddings, distances=distances,
    )  # fmt: skip


def _disentangled(encoder: Any, attention: Any, longest: int) -> dict[str, np.ndarray]:
    """Keys and queries of every distance, (heads, distances, head): by key minus query, and by query minus key.

    Source: He et al. 2021, "DeBERTa: Decoding-enhanced BERT with disentangled attention", section 3.1; transformers,
    `DisentangledSelfAttention.disentangled_attention_bias`.
    """
    import torch
    from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position

    distance = torch.arange(1 - longest, longest)  # query minus key
    if attention.position_buckets > 0:
        distance = make_log_bucket_position(distance, attention.position_buckets, attention.max_relative_positions)
    span = attention.pos_ebd_size
    index = torch.clamp(distance.long() + span, 0, 2 * span - 1)
    with torch.no_grad():
        embeddings = encoder.get_rel_embedding()[: 2 * span]
        names = ("key_proj", "query_proj") if attention.share_att_key else ("pos_key_proj", "pos_query_proj")
        keys, queries = (getattr(attention, name)(embeddings)[index] for name in names)  # (distances, heads * head)
    heads = attention.num_attention_heads

    def by_head(values: torch.Tensor) -> np.ndarray:
        return values.view(len(values), heads, -1).transpose(0, 1).float().contiguous().numpy()

    return {"position_keys": by_head(keys.flip(0)), "position_queries": by_head(queries)}


ARCHITECTURES: Mapping[str, Callable[[Any], Parts]] = {
    "BertForSequenceClassification": _bert,
    "RobertaForSequenceClassification": _roberta,
    "XLMRobertaForSequenceClassification": _roberta,
    "CamembertForSequenceClassification": _roberta,
    "ElectraForSequenceClassification": _electra,
    "DistilBertForSequenceClassification": _distilbert,
    "MPNetForSequenceClassification": _mpnet,
    "DebertaV2ForSequenceClassification": _deberta,
}
"""By the class of transformers: another class with the same weights may compute otherwise."""
