"""Pretrained checkpoints with random weights, small enough to train in a second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ftkit.testing.separable import COMMON, WORDS


def tiny_bert(folder: Path, vocabulary: Sequence[str] | None = None, *, width: int = 32, layers: int = 2) -> Path:
    """Write a BERT checkpoint with random weights, small enough to train in a second, and return its folder.

    `vocabulary` is that of a WordPiece tokenizer; by default it holds the words of the separable texts and single letters.
    """
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    if vocabulary is None:
        letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
        words = [*COMMON, *(word for group in WORDS for word in group)]
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        vocabulary = list(dict.fromkeys([*special, *words, *letters, *(f"##{letter}" for letter in letters)]))
    tokenizer = BertTokenizer(
        vocab={word: index for index, word in enumerate(vocabulary)}, do_lower_case=False, model_max_length=128
    )
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * width,
        max_position_embeddings=128,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
