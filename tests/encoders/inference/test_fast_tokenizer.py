"""A tokenizer read without transformers gives the same ids, or is not read so."""

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
from ftkit.encoders.tokenization import Words
from ftkit.testing.backbones import ODD_TEXTS, tiny_bert

TEXTS = (*fast_tokenizer.PROBES, *ODD_TEXTS, "the old ship and the new wave", "ship[SEP]wave", "<x>bread<x>", "!" * 999)
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
LEARNED = ["the ship sails a wave, and bread is in the oven!!", "naïve 自然言語 été 🎸"] * 5


def saved(folder: Path, tokenizer: Any, config: Any) -> Path:
    """What a classifier saves, but for its weights."""
    tokenizer.model_max_length = 64
    tokenizer.save_pretrained(folder)
    config.save_pretrained(folder)
    (folder / "model.safetensors").touch()
    return folder


def bert(folder: Path, **options: Any) -> Path:
    from transformers import AutoConfig, AutoTokenizer

    made = tiny_bert(folder / "checkpoint")
    tokenizer = AutoTokenizer.from_pretrained(made, **options)
    tokenizer.add_tokens(["<x>"])
    return saved(folder / "model", tokenizer, AutoConfig.from_pretrained(made, vocab_size=500))


def byte_pairs(folder: Path) -> Path:
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaConfig, RobertaTokenizer

    learned = ByteLevelBPETokenizer()
    learned.train_from_iterator(LEARNED, vocab_size=400, min_frequency=1, special_tokens=SPECIAL)
    learned.save_model(str(folder))
    tokenizer = RobertaTokenizer(vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"))
    config = RobertaConfig(vocab_size=500, pad_token_id=1, max_position_embeddings=40)
    return saved(folder / "model", tokenizer, config)


def pieces(folder: Path, **options: Any) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import ModernBertConfig, PreTrainedTokenizerFast

    learned = Tokenizer(models.Unigram())
    learned.pre_tokenizer = pre_tokenizers.Metaspace()
    learned.train_from_iterator(
        LEARNED, trainers.UnigramTrainer(vocab_size=80, special_tokens=SPECIAL, unk_token="<unk>")
    )
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=learned, **names, **options)
    return saved(folder / "model", tokenizer, ModernBertConfig(vocab_size=500))


def padded_left(folder: Path) -> Path:
    return pieces(folder, padding_side="left")


@pytest.mark.parametrize("make", [bert, byte_pairs, pieces, padded_left])
def test_ids_are_those_of_transformers(make: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = make(tmp_path)
    fast_tokenizer.write(folder)
    found = fast_tokenizer.read(folder)
    assert found is not None
    read = checkpoint.read(folder)
    wanted = Words(read.tokenizer, read.limit)
    assert (found.words.limit, found.words.frame) == (wanted.limit, wanted.frame)
    assert found.words.fingerprint == wanted.fingerprint
    assert found.words.own(TEXTS) == wanted.own(TEXTS)
    assert found.words.lengths(TEXTS, 9) == wanted.lengths(TEXTS, 9)
    for text in (each for each in TEXTS if each.isprintable() and len(each) < 60):
        whole = read.tokenizer(text, truncation=True, max_length=read.limit)["input_ids"]
        assert found.words.row(found.words.own([text])[0], read.limit).tolist() == whole, text
    assert found.classes == tuple(read.config.id2label.values())


def test_it_is_read_without_transformers(tmp_path: Path) -> None:
    folder = bert(tmp_path)
    fast_tokenizer.write(folder)
    code = """
import sys
from pathlib import Path
from ftkit.encoders.inference import fast_tokenizer
assert fast_tokenizer.read(Path(sys.argv[1])).words.own(["the ship"])
print([name for name in ("torch", "transformers") if name in sys.modules])
"""
    said = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_what_tokenizer_json_does_not_hold_is_left_to_transformers(tmp_path: Path) -> None:
    """Special words in a text are cut up here, of which only Python knows."""
    folder = pieces(tmp_path, split_special_tokens=True)
    fast_tokenizer.write(folder)
    assert not (folder / fast_tokenizer.FILE).exists()
    assert fast_tokenizer.read(folder) is None


def test_a_tokenizer_that_is_cut_up_by_python_is_left_to_transformers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import BertTokenizer

    folder = bert(tmp_path)
    asked = BertTokenizer.__call__

    def shouting(self: Any, text: str, **options: Any) -> Any:
        return asked(self, text.replace("!", " ! a"), **options)

    monkeypatch.setattr(BertTokenizer, "__call__", shouting)
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
def test_what_was_changed_since_is_left_to_transformers(tmp_path: Path, name: str, damage: str) -> None:
    folder = bert(tmp_path)
    fast_tokenizer.write(folder)
    path = folder / name
    path.write_text(path.read_text() + " ") if damage == "change" else path.unlink()
    assert fast_tokenizer.read(folder) is None


def test_a_file_that_came_since_is_left_to_transformers(tmp_path: Path) -> None:
    folder = bert(tmp_path)
    fast_tokenizer.write(folder)
    (folder / "added_tokens.json").write_text('{"<y>": 499}')
    assert fast_tokenizer.read(folder) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": null}'])
def test_a_note_that_cannot_be_read_is_left_to_transformers(tmp_path: Path, content: str) -> None:
    folder = bert(tmp_path)
    fast_tokenizer.write(folder)
    (folder / fast_tokenizer.FILE).write_text(content)
    assert fast_tokenizer.read(folder) is None


def test_the_note_moves_with_its_folder_and_tells_nothing_of_this_machine(tmp_path: Path) -> None:
    folder = bert(tmp_path)
    fast_tokenizer.write(folder)
    moved = Path(shutil.move(folder, tmp_path / "elsewhere"))
    assert fast_tokenizer.read(moved) is not None
    assert str(tmp_path) not in (moved / fast_tokenizer.FILE).read_text()
    assert json.loads((moved / fast_tokenizer.FILE).read_text())["limit"] == 64
