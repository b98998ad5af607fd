"""Texts that are rare in training data but reach every endpoint one day, and broken requests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from ftkit import pairs
from ftkit.serving.limits import Limits


def odd_texts(long: int) -> dict[str, str]:
    """Odd texts, each under a title that says what is odd about it; the very long ones have `long` characters."""
    return {
        "the empty text": "",
        "one blank": " ",
        "white space of all kinds": " \t\r\n\v\f\u00a0\u2003\u202f\u3000",
        "one letter": "a",
        "digits": "0123456789 3.14 -1e308 ٣٤٥",
        "punctuation": "?!…,;:-–—()[]{}'\"`´/\\|@#$%^&*_+=<>~",
        "one very long word": "x" * long,
        "a very long text": ("of " * (long // 3 + 1))[:long],
        "thousands of line breaks": "\n" * min(long, 10_000),
        "emoji": "😀😂🔥👍💯" * 20,
        "emoji of several parts": "👩‍👩‍👧‍👦 👍🏽 🏳️‍🌈 🇫🇷🇯🇵 1️⃣ ❤️",
        "right to left": "هذا المنتج ممتاز ووصل في الوقت المحدد · המוצר הזה נשבר אחרי שבוע",
        "characters that turn the direction": "good \u202etsrow\u202c \u2067bad\u2069 \u200ffine\u200e",
        "control characters": "".join(map(chr, range(1, 32))) + "\x7f\x80\x9f",
        "NUL": "before\x00after\x00",
        "terminal commands": "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x08\x08\x08",
        "HTML": "<p onclick=\"alert(1)\">fine &amp; <b>dandy</b></p><script>document.write('!')</script><!-- -->",
        "JSON and code": '{"text": null, "data": [1, 2]} SELECT * FROM reviews; -- %s %n {0} {{x}} ${HOME} $(true)',
        "special tokens of models": "[CLS] [SEP] [MASK] [PAD] [UNK] <s> </s> <pad> <unk> <mask> <|endoftext|> ##ing ▁the",
        "Chinese": "这个产品质量很好，物流也很快，下次还会再买。",
        "Japanese": "思ったより小さかったですが、とても使いやすいです。",
        "Korean": "배송은 빨랐지만 포장이 엉망이었어요.",
        "Hindi": "यह किताब बहुत अच्छी है, मैंने एक दिन में पढ़ ली।",
        "Thai": "สินค้าดีมากส่งเร็วไม่ผิดหวังเลย",
        "Russian and Greek": "Сломался через неделю. Δεν το συνιστώ σε κανέναν.",
        "German, Turkish and Vietnamese": "Größe fällt groß aus, STRASSE; İstanbul'da ışıl ışıl; rất hài lòng với sản phẩm này",
        "combining marks": "e" + "\u0301\u0323\u0336" * 200 + " \u0301",
        "styled and composed characters": "ｆｕｌｌ ｗｉｄｔｈ 𝓼𝓬𝓻𝓲𝓹𝓽 ﬁne ①②③ Ⅷ ½ ﷺ",
        "half a surrogate pair": "half \ud83d of a pair",
        "surrogates in the wrong order": "\ude00\ud83d",
        "byte order mark": "\ufeffmarked\ufeff",
        "zero-width characters": "in\u200bvis\u200cib\u200dle \u2060\u00ad\u180e",
        "line ends of all kinds": "one\u2028two\u2029three\x85four\r\nfive\rsix",
        "unassigned and private characters": "\ue000\ufdd0\ufffe\uffff\U000f0000\U0010ffff\ufffd",
    }


def broken_requests(limits: Limits) -> dict[str, bytes]:
    """Bodies that the server must refuse, each under a title that says what is wrong with it."""
    row = {"text": "a text"}
    values: dict[str, object] = {
        "null": None,
        "a number": 42,
        "a text alone": "a text",
        "a list alone": [row],
        "no data": {},
        "data that is null": {"data": None},
        "data that is one row": {"data": row},
        "a text where a row should be": {"data": ["a text"]},
        "a row without text": {"data": [{"label": "good"}]},
        "a text that is null": {"data": [{"text": None}]},
        "a text that is a number": {"data": [row, {"text": 7}]},
        "a text that is a list": {"data": [{"text": ["a", "text"]}]},
        "scores that are a word": {"data": [row], "scores": "yes"},
        "an unknown key": {"data": [row], "threshold": 0.5},
        "too many rows": {"data": [row] * (limits.rows + 1)},
    }
    return {
        "an empty body": b"",
        "not JSON": b"text=fine",
        "JSON cut off": b'{"data": [{"text": "fi',
        "bytes that are not UTF-8": b'{"data": [{"text": "\xff\xfe\x80"}]}',
        "very deep nesting": b"[" * 100_000,
        **{title: json.dumps(value).encode() for title, value in values.items()},
        "too large": b'{"data": [{"text": "' + b"x" * limits.size + b'"}]}',
    }


def odd_pairs(texts: Mapping[str, str], fields: Sequence[str], longest: int) -> dict[str, str]:
    """Pairs of which both sides are an odd text, at most so many characters of it, or one side is empty."""
    both = {f"{title}, as both sides": pairs.join(text[:longest], text[:longest]) for title, text in texts.items()}
    empty = {f"an empty {name}": pairs.of_row({**dict.fromkeys(fields, "a text"), name: ""}, fields) for name in fields}
    return {**both, **empty}


def broken_pairs(fields: Sequence[str]) -> dict[str, bytes]:
    """Requests without one of the texts of a row, which the server must refuse as well; none where a row has one text."""
    if len(fields) == 1:
        return {}
    rows = {name: {each: "a text" for each in fields if each != name} for name in fields}
    return {f"a row without {name}": json.dumps({"data": [row]}).encode() for name, row in rows.items()}
