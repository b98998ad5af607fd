"""A data report in sentences."""

from __future__ import annotations

from ftkit.contracts import DataReport
from ftkit.data.description import how_read, what_is_seen


def test_files_that_were_read_alike_share_a_sentence() -> None:
    alike = {"format": "csv", "encoding": "utf-8", "delimiter": "comma"}
    files = {"/data/train.csv": alike, "C:\\data\\test.csv": alike, "valid.jsonl": {"encoding": "utf-8"}}
    report = DataReport("here", 1, {}, {}, {}, "", files=files)
    assert how_read(report) == [
        "train.csv, test.csv were read as csv, encoding utf-8, delimiter comma",
        "valid.jsonl was read as encoding utf-8",
    ]


def test_what_the_backbone_sees_is_one_sentence() -> None:
    tokens = {"same": 0.5, "cut": 0.25, "lost": 0.75, "max_length": 64, "median_tokens": 1234.0, "unknown": 0.0}
    assert what_is_seen(tokens) == (
        "half of the texts have at most 1,234, the first 64 are read, 25 % of the texts are cut and half of these lose 75 % "
        "or more, 50 % of the texts have the tokens of another text"
    )
    assert what_is_seen({"pages_read": 3.25}) == "pages read 3.25"
    assert what_is_seen({}) == ""
