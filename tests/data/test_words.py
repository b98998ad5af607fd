"""Words are counted by one rule for all languages."""

from __future__ import annotations

import time

import pytest

from ftkit.data.words import count_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("  \t\n", 0),
        ("It broke, after a week.", 5),
        ("a — b", 3),
        ("don't U.S.A. 3,141.59", 3),
        ("Привет, мир", 2),
        ("हिन्दी में लिखा", 3),
        ("한국어 문장입니다", 2),
        ("我很喜欢这个产品", 8),
        ("你好，世界。", 4),
        ("新しいiPhone 15を買った", 9),
        ("สวัสดีครับ", 7),
        ("ສະບາຍດີ", 6),
        ("ភាសាខ្មែរ", 5),
        ("མི་", 1),
        ("\u3000", 0),
        ("𠮷野家", 3),
    ],
)
def test_words(text: str, words: int) -> None:
    assert count_words(text) == words


def test_a_million_characters_are_counted_in_a_moment() -> None:
    begun = time.process_time()
    assert count_words("我很喜欢" * 250_000) == 1_000_000
    assert time.process_time() - begun < 5
