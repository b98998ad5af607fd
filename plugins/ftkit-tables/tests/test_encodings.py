"""Bytes that do not fit are damage or another encoding; advice is tried before it is given; garbled texts are noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ftkit_tables import Table, encodings

from ftkit.contracts import SPLITS, Data
from ftkit.errors import DataError

SENTENCES = {
    "cp1252": "Le caf\u00e9 est d\u00e9j\u00e0 ferm\u00e9, l\u2019\u00e9t\u00e9 prochain nous irons \u00e0 l\u2019h\u00f4tel \u00ab \u00c9lys\u00e9e \u00bb",
    "cp1251": "\u042d\u0442\u043e \u043e\u0447\u0435\u043d\u044c \u0445\u043e\u0440\u043e\u0448\u0438\u0439 \u0442\u043e\u0432\u0430\u0440, \u044f \u0434\u043e\u0432\u043e\u043b\u0435\u043d \u043f\u043e\u043a\u0443\u043f\u043a\u043e\u0439",
    "koi8_r": "\u042d\u0442\u043e \u043e\u0447\u0435\u043d\u044c \u0445\u043e\u0440\u043e\u0448\u0438\u0439 \u0442\u043e\u0432\u0430\u0440, \u044f \u0434\u043e\u0432\u043e\u043b\u0435\u043d \u043f\u043e\u043a\u0443\u043f\u043a\u043e\u0439",
    "gb18030": "\u8fd9\u4e2a\u9152\u5e97\u7684\u670d\u52a1\u975e\u5e38\u597d\uff0c\u623f\u95f4\u4e5f\u5f88\u5e72\u51c0\uff0c\u4e0b\u6b21\u8fd8\u4f1a\u518d\u6765\u3002",
    "big5": "\u9019\u500b\u9152\u5e97\u7684\u670d\u52d9\u975e\u5e38\u597d\uff0c\u623f\u9593\u4e5f\u5f88\u4e7e\u6de8\uff0c\u4e0b\u6b21\u9084\u6703\u518d\u4f86\u3002",
    "cp932": "\u3053\u306e\u5546\u54c1\u306f\u3068\u3066\u3082\u826f\u3044\u3067\u3059\u3002\u307e\u305f\u8cb7\u3044\u305f\u3044\u3068\u601d\u3044\u307e\u3059\u3002",
    "euc_jp": "\u3053\u306e\u5546\u54c1\u306f\u3068\u3066\u3082\u826f\u3044\u3067\u3059\u3002\u307e\u305f\u8cb7\u3044\u305f\u3044\u3068\u601d\u3044\u307e\u3059\u3002",
    "cp949": "\uc774 \uc81c\ud488\uc740 \uc815\ub9d0 \uc88b\uc2b5\ub2c8\ub2e4. \ub2e4\uc74c\uc5d0 \ub610 \uc0ac\uace0 \uc2f6\uc5b4\uc694.",
    "cp1250": "Za\u017c\u00f3\u0142\u0107 g\u0119\u015bl\u0105 ja\u017a\u0144, bardzo dobry produkt, polecam ka\u017cdemu",
    "cp1254": "\u00c7ok g\u00fczel bir \u00fcr\u00fcn, herkese tavsiye ederim, \u015f\u0131k ve \u0131\u015f\u0131lt\u0131l\u0131",
    "cp1256": "\u0647\u0630\u0627 \u0645\u0646\u062a\u062c \u0645\u0645\u062a\u0627\u0632 \u062c\u062f\u0627 \u0648\u0623\u0646\u0635\u062d \u0628\u0647 \u0627\u0644\u062c\u0645\u064a\u0639 \u0628\u0634\u062f\u0629",
    "cp874": "\u0e2a\u0e34\u0e19\u0e04\u0e49\u0e32\u0e14\u0e35\u0e21\u0e32\u0e01 \u0e41\u0e19\u0e30\u0e19\u0e33\u0e43\u0e2b\u0e49\u0e17\u0e38\u0e01\u0e04\u0e19\u0e0b\u0e37\u0e49\u0e2d\u0e40\u0e25\u0e22",
}  # fmt: skip


def load(path: Path, **options: Any) -> Data:
    return Table(path=path, near_copies="ignored", **options).load(7, lambda event: None)


def texts(data: Data) -> set[str]:
    return {text for name in SPLITS for text in getattr(data, name).texts}


def write(path: Path, sentence: str, encoding: str, rows: int = 60) -> set[str]:
    """A table in the form of the name; returns its texts."""
    pairs = [(f"{sentence} {index}", ("ham", "spam")[index % 2]) for index in range(rows)]
    if path.suffix == ".jsonl":
        content = "".join(
            json.dumps({"text": text, "label": label}, ensure_ascii=False) + "\n" for text, label in pairs
        )
    elif path.suffix == ".txt":
        content = "".join(f"__label__{label} {text}\n" for text, label in pairs)
    else:
        content = "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in pairs)
    path.write_bytes(content.encode(encoding))
    return {text for text, _ in pairs}


@pytest.mark.parametrize("name", ["rows.tsv", "rows.jsonl", "rows.txt"])
@pytest.mark.parametrize("encoding", [*SENTENCES])
def test_the_proposed_encoding_reads_the_file(encoding: str, name: str, tmp_path: Path) -> None:
    expected = write(tmp_path / name, SENTENCES[encoding], encoding)
    with pytest.raises(DataError) as caught:
        load(tmp_path / name)
    assert "60 of 60 rows are not utf-8" in caught.value.what
    proposed = caught.value.hint.split('"')[1]
    assert texts(load(tmp_path / name, encoding=proposed)) == expected


@pytest.mark.parametrize("failed", ["cp1252", "ascii", "big5", "shift_jis"])
def test_a_wrong_encoding_of_the_recipe_is_not_proposed_again(failed: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    expected = write(path, "Va\u0161\u00ed \u010de\u0161tiny \u00cd \u00d0", "utf-8")
    with pytest.raises(DataError) as caught:
        load(path, encoding=failed)
    assert (
        'encoding = "utf-8" reads the whole file' in caught.value.hint
        or "has format tsv, encoding utf-8" in caught.value.hint
    )
    assert texts(load(path)) == expected


@pytest.mark.parametrize("name", ["rows.tsv", "rows.jsonl", "rows.txt"])
def test_a_few_bad_lines_are_damage_and_many_are_not(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    expected = write(path, "na\u00efve \U0001f600", "utf-8", rows=400)
    content = path.read_bytes().splitlines(keepends=True)
    bad = [
        line.replace(b"\xf0\x9f\x98\x80", b"\xf0\x9f") if index in (11, 33) else line
        for index, line in enumerate(content)
    ]
    path.write_bytes(b"".join(bad))
    data = load(path)
    assert data.report.dropped == {"damaged line": 2}
    assert data.report.damaged_lines == (12, 34)
    assert len(texts(data) & expected) == 398
    with pytest.raises(DataError) as caught:
        load(path, max_damaged=0.001)
    assert "2 of 400 rows are not utf-8" in caught.value.what
    assert caught.value.where == f"{path}:12"
    assert "The other 39" in caught.value.hint
    assert "encoding =" not in caught.value.hint


def test_no_encoding_is_proposed_where_none_reads_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    mixed = [
        bytes([*range(0x80, 0x100)]),
        "\u8fd9\u4e2a\u9152\u5e97".encode("gb18030"),
        b"\xff\xfe\xfd",
        b"\x81\x20\x98",
    ]
    path.write_bytes(b"text,label\n" + b"".join(mixed[index % 4] + b",%d\n" % (index % 2) for index in range(40)))
    for encoding in encodings.proposed(path, mixed, "utf-8"):
        assert texts(load(path, encoding=encoding))


SHORT = {
    "ja": "\u6ce8\u6587\u3057\u305f\u5546\u54c1\u304c\u307e\u3060\u5c4a\u3044\u3066\u3044\u307e\u305b\u3093\u3002",
    "ko": "\uc8fc\ubb38\ud55c \uc0c1\ud488\uc774 \uc544\uc9c1 \ub3c4\ucc29\ud558\uc9c0 \uc54a\uc558\uc2b5\ub2c8\ub2e4.",
    "he": "\u05d4\u05d4\u05d6\u05de\u05e0\u05d4 \u05e9\u05dc\u05d9 \u05e2\u05d3\u05d9\u05d9\u05df \u05dc\u05d0 \u05d4\u05d2\u05d9\u05e2\u05d4",
    "pl": "Zam\u00f3wienie jeszcze nie dotar\u0142o, prosz\u0119 sprawdzi\u0107 \u017ale",
}


@pytest.mark.parametrize(
    ("language", "encoding"),
    [("ja", "cp932"), ("ja", "euc_jp"), ("ko", "cp949"), ("he", "cp1255"), ("pl", "cp1250"), ("pl", "iso8859_2")],
)
def test_the_right_encoding_is_among_those_shown(language: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    write(path, SHORT[language], encoding)
    with pytest.raises(DataError) as caught:
        load(path)
    assert SHORT[language][:12] in caught.value.hint, caught.value.hint


@pytest.mark.parametrize("text", ["caf\u00e9 (quite nice)", "\u201chi\u201d \u2013 it\u2019s"])
def test_cp1252_read_as_latin_1_is_noticed(text: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    write(path, text, "cp1252")
    warnings = load(path, encoding="latin-1").report.warnings
    if text.startswith("caf"):
        assert not warnings
    else:
        assert (
            'control characters (U+0080 to U+009F) where cp1252 has quotes and dashes: set encoding = "cp1252"'
            in warnings[0]
        )
    assert not load(path, encoding="cp1252").report.warnings


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_utf_8_read_as_another_encoding_is_noticed(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    write(path, "d\u00e9j\u00e0 vu, na\u00efve \u00fcber", "utf-8")
    (warning,) = load(path, encoding=encoding).report.warnings
    assert warning.startswith("rows.tsv: 100.0 % of 60 texts look like UTF-8 that was decoded as another encoding")
    assert warning.endswith("leave out encoding: the file is UTF-8.")


@pytest.mark.parametrize("name", ["rows.tsv", "rows.jsonl", "rows.txt"])
def test_double_encoded_texts_are_noticed_and_repaired_on_request(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    original = "d\u00e9j\u00e0 vu \u201cna\u00efve\u201d \U0001f600"
    write(path, original.encode().decode("cp1252", "replace").replace("\ufffd", ""), "utf-8")
    garbled = "d\u00e9j\u00e0 vu".encode().decode("latin-1")
    expected = write(path, "d\u00e9j\u00e0 vu", "utf-8")
    write(path, garbled, "utf-8")
    (warning,) = load(path).report.warnings
    assert "set repair = true" in warning
    repaired = load(path, repair=True)
    assert texts(repaired) == expected
    assert f"{name}: the encoding of 60 texts was repaired." in repaired.report.notes
    assert not repaired.report.warnings


@pytest.mark.parametrize(
    "sentence", [*SENTENCES.values(), "\u20ac 5,00 \u2013 \u00ab \u00c0 la carte \u00bb \u00a9 2024 \u00b1 5 \u00b0C"]
)
def test_sound_texts_are_not_suspected(sentence: str, tmp_path: Path) -> None:
    write(tmp_path / "rows.tsv", sentence, "utf-8")
    data = load(tmp_path / "rows.tsv", repair=True)
    assert not data.report.warnings
    assert texts(data) == texts(load(tmp_path / "rows.tsv"))


def test_control_characters_and_texts_without_letters_are_said(tmp_path: Path) -> None:
    write(tmp_path / "rows.tsv", "5\x00" + "7" * 30, "utf-8")
    warnings = load(tmp_path / "rows.tsv").report.warnings
    assert warnings == (
        "rows.tsv: 60 of 60 texts have control characters (U+0000); they were kept.",
        "rows.tsv: 100.0 % of 60 texts have no letter. Is 'text' the column with the texts?",
    )


def test_a_file_of_japanese_in_seven_bits_is_read(tmp_path: Path) -> None:
    expected = write(tmp_path / "rows.tsv", SENTENCES["euc_jp"], "iso2022_jp")
    assert texts(load(tmp_path / "rows.tsv")) == expected
