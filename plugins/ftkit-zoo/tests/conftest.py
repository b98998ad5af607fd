"""Checkpoints of every architecture of the zoo: random weights, and tokenizers made of a few words."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftkit.testing.separable import COMMON, WORDS, separable

LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
TERMS = [*COMMON, *(word for group in WORDS for word in group)]
SIZES: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "initializer_range": 0.1,
}  # fmt: skip


def wordpiece(*special: str) -> dict[str, int]:
    pieces = dict.fromkeys([*special, *TERMS, *LETTERS, *(f"##{letter}" for letter in LETTERS)])
    return {piece: number for number, piece in enumerate(pieces)}


def unigram(*special: str) -> list[tuple[str, float]]:
    pieces = dict.fromkeys(["▁", *(f"▁{word}" for word in TERMS), *LETTERS])
    return [*((each, 0.0) for each in special), *((piece, -2.0 - len(piece) % 3) for piece in pieces)]


def byte_pairs(*special: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """A vocabulary and merges learned from the separable texts."""
    import json

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(separable(200, 3).texts, trainer)
    learned = json.loads(tokenizer.to_str())["model"]
    return learned["vocab"], [(first, second) for first, second in learned["merges"]]


ROBERTA = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def roberta(folder: Path) -> None:
    from transformers import RobertaConfig, RobertaModel, RobertaTokenizer

    vocab, merges = byte_pairs(*ROBERTA)
    tokenizer = RobertaTokenizer(vocab=vocab, merges=merges, model_max_length=126)
    tokenizer.save_pretrained(folder)
    RobertaModel(RobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=128, **SIZES)).save_pretrained(folder)


def xlm_roberta(folder: Path) -> None:
    from transformers import XLMRobertaConfig, XLMRobertaModel, XLMRobertaTokenizer

    tokenizer = XLMRobertaTokenizer(vocab=unigram(*ROBERTA), model_max_length=126)
    tokenizer.save_pretrained(folder)
    XLMRobertaModel(XLMRobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=128, **SIZES)).save_pretrained(
        folder
    )


def modernbert(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import ModernBertConfig, ModernBertModel, PreTrainedTokenizerFast

    vocab, merges = byte_pairs(*BERT)
    fast = Tokenizer(models.BPE(vocab, merges))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[(each, vocab[each]) for each in ("[CLS]", "[SEP]")],
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), BERT, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=fast, model_max_length=128, **names).save_pretrained(folder)
    special = {
        f"{name}_token_id": vocab[token]
        for name, token in (("pad", "[PAD]"), ("cls", "[CLS]"), ("sep", "[SEP]"), ("bos", "[CLS]"), ("eos", "[SEP]"))
    }
    config = ModernBertConfig(
        vocab_size=len(vocab), max_position_embeddings=128, local_attention=16, **SIZES, **special
    )
    ModernBertModel(config).save_pretrained(folder)


def electra(folder: Path) -> None:
    from transformers import ElectraConfig, ElectraModel, ElectraTokenizer

    tokenizer = ElectraTokenizer(vocab=wordpiece(*BERT), model_max_length=128)
    tokenizer.save_pretrained(folder)
    config = ElectraConfig(vocab_size=len(tokenizer), embedding_size=16, max_position_embeddings=128, **SIZES)
    ElectraModel(config).save_pretrained(folder)


def mpnet(folder: Path) -> None:
    from transformers import MPNetConfig, MPNetModel, MPNetTokenizer

    tokenizer = MPNetTokenizer(
        vocab=wordpiece("<s>", "<pad>", "</s>", "<unk>", "[UNK]", "<mask>"), model_max_length=126
    )
    tokenizer.save_pretrained(folder)
    MPNetModel(MPNetConfig(vocab_size=len(tokenizer), max_position_embeddings=128, **SIZES)).save_pretrained(folder)


def mdeberta(folder: Path) -> None:
    from transformers import DebertaV2Config, DebertaV2Model, DebertaV2Tokenizer

    tokenizer = DebertaV2Tokenizer(vocab=unigram("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), model_max_length=128)
    tokenizer.save_pretrained(folder)
    config = DebertaV2Config(
        vocab_size=len(tokenizer), relative_attention=True, position_buckets=16, norm_rel_ebd="layer_norm",
        share_att_key=True, pos_att_type=["p2c", "c2p"], position_biased_input=False, type_vocab_size=0,
        max_position_embeddings=128, pooler_hidden_size=32, pooler_dropout=0, **SIZES,
    )  # fmt: skip
    DebertaV2Model(config).save_pretrained(folder)


def multilingual_minilm(folder: Path) -> None:
    """BERT's architecture with XLM-RoBERTa's SentencePiece model, which config.json alone names: so it is on the hub."""
    import io

    import sentencepiece
    from transformers import BertConfig, BertModel

    pieces = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(separable(300, 3).texts), model_writer=pieces, vocab_size=120, hard_vocab_limit=False,
        minloglevel=2,
    )  # fmt: skip
    (folder / "sentencepiece.bpe.model").write_bytes(pieces.getvalue())
    config = BertConfig(vocab_size=160, max_position_embeddings=128, tokenizer_class="XLMRobertaTokenizer", **SIZES)
    BertModel(config).save_pretrained(folder)


def qwen3(folder: Path) -> None:
    from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3Model

    vocab, merges = byte_pairs("<|endoftext|>", "<|im_end|>")
    tokenizer = Qwen2Tokenizer(vocab=vocab, merges=merges, model_max_length=128)
    tokenizer.save_pretrained(folder)
    config = Qwen3Config(
        vocab_size=len(tokenizer), num_key_value_heads=2, head_dim=8, max_position_embeddings=128,
        tie_word_embeddings=True, **SIZES,
    )  # fmt: skip
    Qwen3Model(config).save_pretrained(folder)


ARCHITECTURES: dict[str, Callable[[Path], None]] = {
    "roberta-base": roberta,
    "xlm-roberta-base": xlm_roberta,
    "modernbert-base": modernbert,
    "electra-small": electra,
    "mpnet-base": mpnet,
    "mdeberta-v3-base": mdeberta,
    "multilingual-minilm": multilingual_minilm,
    "qwen3-0.6b": qwen3,
}
"""By the backbone of the zoo that stands for its architecture, what writes a checkpoint of it."""


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Any:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a checkpoint of an architecture, made when it is first asked for."""
    import torch

    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.manual_seed(0)
                ARCHITECTURES[name](made[name])
        return made[name]

    return folder
