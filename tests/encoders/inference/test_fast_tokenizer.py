"""Reading a tokenizer without transformers gives the same ids, or is left to transformers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftkit.encoders import checkpoint
from ftkit.encoders.inference import fast_tokenizer
from ftkit.encoders.tokenization import Tokenizer
from ftkit.testing.backbones import ODD_TEXTS, tiny_bert

TEXTS = (*fast_tokenizer.PROBES, *ODD_TEXTS, "the old ship and the new wave", "ship[SEP]wave", "<x>bread<x>", "!" * 999)
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
TRAINING_TEXTS = ["the ship sails a wave, and bread is in the oven!!", "naïve 自然言語 été 🎸"] * 5


def saved(folder: Path, tokenizer: Any, config: Any) -> Path:
    """Write what a classifier saves, with an empty file of weights."""
    tokenizer.model_max_length = 64
    tokenizer.save_pretrained(folder)
    config.save_pretrained(folder)
    (folder / "model.safetensors").touch()
    return folder


def bert(folder: Path, **options: Any) -> Path:
    from transformers import AutoConfig, AutoTokenizer

    checkpoint_folder = tiny_bert(folder / "checkpoint")
    tokenizer = AutoTokenizer.from_pretrained(checkpoint_folder, **options)
    tokenizer.add_tokens(["<x>"])
    return saved(folder / "model", tokenizer, AutoConfig.from_pretrained(checkpoint_folder, vocab_size=500))


def byte_pairs(folder: Path) -> Path:
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaConfig, RobertaTokenizer

    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(TRAINING_TEXTS, vocab_size=400, min_frequency=1, special_tokens=SPECIAL)
    trained.save_model(str(folder))
    tokenizer = RobertaTokenizer(vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"))
    config = RobertaConfig(vocab_size=500, pad_token_id=1, max_position_embeddings=40)
    return saved(folder / "model", tokenizer, config)


def pieces(folder: Path, **options: Any) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import ModernBertConfig, PreTrainedTokenizerFast

    trained = Tokenizer(models.Unigram())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trained.train_from_iterator(
        TRAINING_TEXTS, trainers.UnigramTrainer(vocab_size=80, special_tokens=SPECIAL, unk_token="<unk>")
    )
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=trained, **names, **options)
    return saved(folder / "model", tokenizer, ModernBertConfig(vocab_size=500))


def padded_left(folder: Path) -> Path:
    return pieces(folder, padding_side="left")


@pytest.mark.parametrize("make", [bert, byte_pairs, pieces, padded_left])
def test_ids_are_those_of_transformers(make: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = make(tmp_path)
    fast_tokenizer.write(folder)
    fast = fast_tokenizer.read(folder)
    assert fast is not None
    read = checkpoint.read(folder)
    reference = Tokenizer(read.tokenizer, read.limit)
    assert (fast.tokenizer.limit, fast.tokenizer.special) == (reference.limit, reference.special)
    assert fast.tokenizer.fingerprint == reference.fingerprint
    assert fast.tokenizer.encode(TEXTS) == reference.encode(TEXTS)
    assert fast.tokenizer.lengths(TEXTS, 9) == reference.lengths(TEXTS, 9)
    for text in (each for each in TEXTS if each.isprintable() and len(each) < 60):
        expected = read.tokenizer(text, truncation=True, max_length=read.limit)["input_ids"]
        assert fast.tokenizer.rows([text], read.limit)[0].tolist() == expected, text
    assert fast.classes == tuple(read.config.id2label.values())


def test_reading_loads_neither_torch_nor_transformers(tmp_path: Path) -> None:
    folder = bert(tmp_path)
    fast_tokenizer.write(folder)
    code = """
import sys
from pathlib import Path
from ftkit.encoders.inference import fast_tokenizer
assert fast_tokenizer.read(Path(sys.argv[1])).tokenizer.encode(["the ship"])
print([name for name in ("torch", "transformers") if name in sys.modules])
"""
    process = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


def test_an_option_that_tokenizer_json_does_not_hold_is_left_to_transformers(tmp_path: Path) -> None:
    """With this option special tokens in a text are split; only Python knows of it."""
    folder = pieces(tmp_path, split_special_tokens=True)
    fast_tokenizer.write(folder)
    assert not (folder / fast_tokenizer.FILE).exists()
    assert fast_tokenizer.read(folder) is None


def test_a_tokenizer_with_python_code_of_its_own_is_left_to_transformers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import BertTokenizer

    folder = bert(tmp_path)
    original = BertTokenizer.__call__

    def with_spaces(self: Any, text: str, **options: Any) -> Any:
        return original(self, text.replace("!", " ! a"), **options)

    monkeypatch.setattr(BertTokenizer, "__call__", with_spaces)
    fast_tokenizer.write(folder)
    assert not (folder / fast_tokenizer.FILE).exists()


def test_a_slow_tokenizer_is_left_to_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import BertTokenizer

    folder = bert(tmp_path)
    monkeypatch.setattr(BertTokenizer, "is_fast", False)
    fast_tokenizer.write(folder)
    assert not (folder / fast_tokenizer.FILE).exists()


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "config.json"])
@pytest.mark.parametrize("damage", ["change", "remove"])
def test_a_file_changed_after_the_export_is_left_to_transformers(tmp_path: Path, name: str, damage: str) -> None:
    folder = bert(tmp_path)
    fast_tokenizer.write(folder)
    path = folder / name
    path.write_text(path.read_text() + " ") if damage == "change" else path.unlink()
    assert fast_tokenizer.read(folder) is None


def test_a_file_added_after_the_export_is_left_to_transformers(tmp_path: Path) -> None:
    folder = bert(tmp_path)
    fast_tokenizer.write(folder)
    (folder / "added_tokens.json").write_text('{"<y>": 499}')
    assert fast_tokenizer.read(folder) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": null}'])
def test_a_damaged_note_is_left_to_transformers(tmp_path: Path, content: str) -> None:
    folder = bert(tmp_path)
    fast_tokenizer.write(folder)
    (folder / fast_tokenizer.FILE).write_text(content)
    assert fast_tokenizer.read(folder) is None


def test_the_note_moves_with_its_folder_and_names_no_path_of_this_machine(tmp_path: Path) -> None:
    folder = bert(tmp_path)
    fast_tokenizer.write(folder)
    moved = Path(shutil.move(folder, tmp_path / "elsewhere"))
    assert fast_tokenizer.read(moved) is not None
    assert str(tmp_path) not in (moved / fast_tokenizer.FILE).read_text()
    assert json.loads((moved / fast_tokenizer.FILE).read_text())["limit"] == 64


def test_the_note_has_the_keys_that_earlier_versions_read(tmp_path: Path) -> None:
    folder = bert(tmp_path)
    fast_tokenizer.write(folder)
    note = json.loads((folder / fast_tokenizer.FILE).read_text())
    assert note.keys() >= {"files", "exact", "frame", "limit", "classes"}
    assert note["frame"].keys() == {"before", "after", "padding", "side"}
