"""Reads the tokenizer of a saved model by the tokenizers library alone: transformers imports torch, which loads slowly.

    model/engines/words.json     what is needed beside tokenizer.json to give a text the ids that transformers gives it

The file is written with the engines of a model, and only where both ways give the same ids: the states of the two
tokenizers are equal to the last bit, and so are the rows of texts on which tokenizers differ. It holds the digests of
the files it was made from. Where one of them has changed since, or the file is missing, transformers reads the
tokenizer.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ftkit import files, pairs
from ftkit.contracts import Task
from ftkit.encoders import checkpoint
from ftkit.encoders.paired_rows import PairForm, PairTokenizer, inputs, tokenizer_of
from ftkit.encoders.task import reads_pairs, task_of
from ftkit.encoders.tokenization import CHARACTERS, SpecialTokens, Tokenizer, clean

FILE = "engines/words.json"
TOKENIZER_FILE = "tokenizer.json"

PROBES = (
    "", " ", "\n\t", "a", "It broke, after a week.", "two  spaces ", " a\u00a0b\u2003c\u200bd\ufeffe", "don't U.S.A. e-mail@example.org",
    "100 % of 3,141.59e-10", "!!!!!!!!!!!! ????....", "aaaaaaaaaaaaaaaaaaaaaaaaaa", "UPPER lower MiXeD", "naïve café", "nai\u0308ve cafe\u0301",
    "İstanbul ẞtraße ǅ ﬁne ① Å Å", "o\u0323\u0302 \u0301", "自然言語処理は楽しい。", "ｆｕｌｌ ﾊﾝｶｸ", "한국어 \u1112\u1161\u11ab", "שָׁלוֹם العَرَبِيَّة", "हिन्दी ไทย",
    "🎸🎹", "👩‍👩‍👧🏽 🇩🇪 ✌️", "\u202eright to left", "\x00\x01\x7f\x85", "\ufffd \U0010ffff", "\ud83d half",
    "[CLS] [SEP] [PAD] [MASK] [UNK]", "a[SEP]b [sep] [ SEP ]", "<s></s> <pad> <mask><unk> </S>", "▁a ##a Ġa <0x41>",
)  # fmt: skip
"""Texts on which tokenizers differ: spaces, cases, accents, scripts, symbols, and what looks like a special token."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SavedTokenizer:
    """What an engine needs of its model beside the network."""

    tokenizer: Tokenizer
    classes: tuple[str, ...]
    task: Task = "single-label"


def read(folder: Path) -> SavedTokenizer | None:
    """The tokenizer without transformers, or None where it is not known to give the same ids."""
    try:
        note = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if note["files"] != _digests(folder):
            return None
        frame = note["frame"]
        special = SpecialTokens(tuple(frame["before"]), tuple(frame["after"]), frame["padding"], frame["side"])
        fast, limit = _fast_tokenizer(folder, note["exact"]), note["limit"]
        pair = note.get("pair")
        form = PairForm(**{name: tuple(numbers) for name, numbers in pair.items()}) if pair else None
        tokenizer = PairTokenizer(fast, limit, form, special) if form else Tokenizer(fast, limit, special)
        return SavedTokenizer(tokenizer, tuple(note["classes"]), note.get("task", "single-label"))
    except FileNotFoundError:
        return None
    except Exception:  # the files' content decides its type; transformers then reports what is wrong with them
        log.debug("%s is read by transformers", folder, exc_info=True)
        return None


def read_with_transformers(folder: Path) -> SavedTokenizer:
    """The tokenizer as transformers reads it. Raises: CheckpointError."""
    saved = checkpoint.read(folder)
    return SavedTokenizer(tokenizer_of(saved, paired=reads_pairs(saved.config)), saved.classes, task_of(saved.config))


def write(folder: Path) -> None:
    """Write what `read` needs, if it then gives the ids of transformers. Raises: CheckpointError; OSError."""
    saved = read_with_transformers(folder)
    exact = _exact_scores_needed(folder, saved.tokenizer)
    if exact is None:
        log.debug("transformers will read the tokenizer of %s", folder)
        return
    note = {
        "files": _digests(folder),
        "exact": exact,
        "frame": asdict(saved.tokenizer.special),
        "limit": saved.tokenizer.limit,
        "classes": saved.classes,
        "task": saved.task,
    }
    if isinstance(saved.tokenizer, PairTokenizer):
        note["pair"] = asdict(saved.tokenizer.form)
    files.write_json(folder / FILE, note)


def _exact_scores_needed(folder: Path, reference: Tokenizer) -> bool | None:
    """Whether the ids of the reference need the exact scores of tokenizer.json; None where they differ either way."""
    for exact in (False, True):
        try:
            if _equivalent(_like(reference, _fast_tokenizer(folder, exact)), reference):
                return exact
        except Exception:  # the file's content decides its type
            log.debug("%s cannot be read without transformers", folder / TOKENIZER_FILE, exc_info=True)
    return None


def _fast_tokenizer(folder: Path, exact: bool) -> Any:
    """The tokenizer of the tokenizers library that tokenizer.json describes.

    The library rounds some numbers of the file to a neighbour. With `exact` Python reads the scores of a Unigram model,
    as transformers does for some classes: the last bit can decide which of two ways to divide a run of equal characters
    is better.
    """
    from tokenizers import Tokenizer as FastTokenizer
    from tokenizers import models

    path = folder / TOKENIZER_FILE
    tokenizer = FastTokenizer.from_file(str(path))
    if exact:
        model = json.loads(path.read_text(encoding="utf-8"))["model"]
        if model["type"] != "Unigram":
            raise ValueError("only a Unigram model has scores")
        pieces = [(piece, score) for piece, score in model["vocab"]]
        tokenizer.model = models.Unigram(pieces, model["unk_id"], model.get("byte_fallback", False))
    return tokenizer


def _like(reference: Tokenizer, fast: Any) -> Tokenizer:
    """The tokenizer that reads as another one does, made of that of the tokenizers library."""
    if isinstance(reference, PairTokenizer):
        return PairTokenizer(fast, reference.limit, reference.form, reference.special)
    return Tokenizer(fast, reference.limit, reference.special)


def _equivalent(fast: Tokenizer, reference: Tokenizer) -> bool:
    """Whether both give any text the same ids, and transformers the same row for a text that is not cut."""
    if fast.fingerprint != reference.fingerprint:
        return False
    texts = list(_probes(reference))
    encoded = reference.encode(texts)
    if fast.encode(texts) != encoded:
        return False
    # A text that fills its row may be cut, which only our own `Tokenizer` does.
    uncut = [
        (clean(text, reference.limit), ids)
        for text, ids in zip(texts, encoded, strict=True)
        if len(ids) < reference.capacity(reference.limit)
    ]
    special = reference.special
    if isinstance(reference, PairTokenizer):
        return all(_same_pair(reference, one[0], other[0]) for one, other in itertools.pairwise(uncut))
    return all(reference.wrapped(text)["input_ids"] == [*special.before, *ids, *special.after] for text, ids in uncut)


def _same_pair(reference: PairTokenizer, first: str, second: str) -> bool:
    """Whether transformers gives two texts the row of their pair, unless that is cut."""
    row = reference.rows([pairs.join(first, second)], reference.limit)[0]
    ids = [*inputs(row, None)["input_ids"]]
    return len(row) == reference.limit or reference.wrapped([first], [second])["input_ids"][0] == ids


def _probes(tokenizer: Tokenizer) -> Iterator[str]:
    """`PROBES`, texts that are far too long, and the tokenizer's special and added tokens within other text."""
    yield from PROBES
    length = tokenizer.limit * CHARACTERS
    yield from ("word " * length, "x" * (length + 1), "自然" * length, "a!" * tokenizer.limit)
    for token in dict.fromkeys((*tokenizer.wrapped.all_special_tokens, *tokenizer.wrapped.get_added_vocab())):
        yield from (f"a{token}b {token} {token.upper()}", f"{token} {token.lower()}")


def _digests(folder: Path) -> dict[str, str]:
    """The digest of every file beside the weights: several of them decide which ids a text gets."""
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix != ".safetensors")
    return {path.name: files.sha256(path) for path in paths}
