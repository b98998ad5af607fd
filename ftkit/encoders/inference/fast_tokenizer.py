"""The tokenizer of a saved model, read by the tokenizers library alone: transformers brings torch, which takes long to load.

    model/engines/words.json     what has to be known beside tokenizer.json to give a text the ids that transformers gives it

It is written with the engines of a model, and only where both give the same ids: their states are the same to the last bit, and so are
the rows of texts that tokenizers differ in. It names the files that it was made of by their digests; where one of them has
changed since, or there is no such file, transformers reads the tokenizer.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ftkit import files
from ftkit.encoders.tokenization import CHARACTERS, Frame, Words, clean

FILE = "engines/words.json"
TOKENIZER = "tokenizer.json"

PROBES = (
    "", " ", "\n\t", "a", "It broke, after a week.", "two  spaces ", " a\u00a0b\u2003c\u200bd\ufeffe", "don't U.S.A. e-mail@example.org",
    "100 % of 3,141.59e-10", "!!!!!!!!!!!! ????....", "aaaaaaaaaaaaaaaaaaaaaaaaaa", "UPPER lower MiXeD", "naïve café", "nai\u0308ve cafe\u0301",
    "İstanbul ẞtraße ǅ ﬁne ① Å Å", "o\u0323\u0302 \u0301", "自然言語処理は楽しい。", "ｆｕｌｌ ﾊﾝｶｸ", "한국어 \u1112\u1161\u11ab", "שָׁלוֹם العَرَبِيَّة", "हिन्दी ไทย",
    "🎸🎹", "👩‍👩‍👧🏽 🇩🇪 ✌️", "\u202eright to left", "\x00\x01\x7f\x85", "\ufffd \U0010ffff", "\ud83d half",
    "[CLS] [SEP] [PAD] [MASK] [UNK]", "a[SEP]b [sep] [ SEP ]", "<s></s> <pad> <mask><unk> </S>", "▁a ##a Ġa <0x41>",
)  # fmt: skip
"""Texts in which tokenizers differ: spaces, cases, marks, scripts, signs, and what looks like a token of their own."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plain:
    """What an engine has to know of its model beside the network."""

    words: Words
    classes: tuple[str, ...]


def read(folder: Path) -> Plain | None:
    """The tokenizer without transformers, or None where it is not known to be the same."""
    try:
        said = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if said["files"] != _digests(folder):
            return None
        frame = said["frame"]
        frame = Frame(tuple(frame["before"]), tuple(frame["after"]), frame["padding"], frame["side"])
        words = Words(_tokenizer(folder, said["exact"]), said["limit"], frame)
        return Plain(words, tuple(said["classes"]))
    except FileNotFoundError:
        return None
    except Exception:  # the files' content decides which one; transformers then says what is wrong with them
        log.debug("%s is read by transformers", folder, exc_info=True)
        return None


def by_transformers(folder: Path) -> Plain:
    """The same as transformers reads it. Raises: CheckpointError."""
    from ftkit.encoders import checkpoint

    saved = checkpoint.read(folder)
    names = saved.config.id2label
    return Plain(Words(saved.tokenizer, saved.limit), tuple(names[index] for index in range(len(names))))


def write(folder: Path) -> None:
    """Note what `read` needs, if it then gives what transformers gives. Raises: CheckpointError; OSError."""
    saved = by_transformers(folder)
    if (exact := _way(folder, saved.words)) is None:
        log.debug("transformers will read the tokenizer of %s", folder)
        return
    said = {
        "files": _digests(folder),
        "exact": exact,
        "frame": asdict(saved.words.frame),
        "limit": saved.words.limit,
        "classes": saved.classes,
    }
    files.write_json(folder / FILE, said)


def _way(folder: Path, wanted: Words) -> bool | None:
    """Whether the scores of tokenizer.json have to be read exactly to give the ids that are wanted; None where nothing does."""
    for exact in (False, True):
        try:
            if _same(Words(_tokenizer(folder, exact), wanted.limit, wanted.frame), wanted):
                return exact
        except Exception:  # the file's content decides which one
            log.debug("%s cannot be read plainly", folder / TOKENIZER, exc_info=True)
    return None


def _tokenizer(folder: Path, exact: bool) -> Any:
    """What tokenizer.json says.

    The library rounds some numbers of a file to a neighbour. It is `exact` to have Python read the scores of a Unigram model, as
    transformers does for some classes: which of two ways to cut up a run of equal characters is the better can be a matter of the
    last bit.
    """
    from tokenizers import Tokenizer, models

    path = folder / TOKENIZER
    found = Tokenizer.from_file(str(path))
    if exact:
        said = json.loads(path.read_text(encoding="utf-8"))["model"]
        if said["type"] != "Unigram":
            raise ValueError("only a Unigram model has scores")
        pieces = [(piece, score) for piece, score in said["vocab"]]
        found.model = models.Unigram(pieces, said["unk_id"], said.get("byte_fallback", False))
    return found


def _same(plain: Words, wanted: Words) -> bool:
    """Whether both give any text the same ids, and the tokenizer itself those of a whole row."""
    if plain.fingerprint != wanted.fingerprint:
        return False
    texts = list(_probes(wanted))
    own = wanted.own(texts)
    if plain.own(texts) != own:
        return False
    # Beyond this a row is cut, which is for `Words` to do.
    whole = [
        (clean(text, wanted.limit), ids)
        for text, ids in zip(texts, own, strict=True)
        if len(ids) < wanted.room(wanted.limit)
    ]
    frame = wanted.frame
    return all(wanted.tokenizer(text)["input_ids"] == [*frame.before, *ids, *frame.after] for text, ids in whole)


def _probes(words: Words) -> Iterator[str]:
    """`PROBES`, texts that are far too long, and the tokenizer's own special words in the midst of others."""
    yield from PROBES
    length = words.limit * CHARACTERS
    yield from ("word " * length, "x" * (length + 1), "自然" * length, "a!" * words.limit)
    for token in dict.fromkeys((*words.tokenizer.all_special_tokens, *words.tokenizer.get_added_vocab())):
        yield from (f"a{token}b {token} {token.upper()}", f"{token} {token.lower()}")


def _digests(folder: Path) -> dict[str, str]:
    """The digest of every file beside the weights: some of them decide what ids a text gets."""
    found = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix != ".safetensors")
    return {path.name: files.sha256(path) for path in found}
