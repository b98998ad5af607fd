"""Reviews: JSON and Python literals, damaged lines, stars to classes, and real rows."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ftkit_amazon_ucsd import AmazonUcsd, archive, parsing
from hypothesis import given, settings
from hypothesis import strategies as st

from ftkit import files
from ftkit.contracts import SPLITS, Data
from ftkit.data.splits import folded
from ftkit.errors import DataError
from ftkit.testing.datasets import DatasetSuite


def review(index: int, **changes: Any) -> dict[str, Any]:
    fields = {"reviewText": f"Number {index}, it's fine.", "overall": 1.0 + index % 5, "summary": f"Summary {index}"}
    return fields | {"unixReviewTime": 1393545600} | changes


def good(count: int = 100) -> list[str]:
    return [json.dumps(review(index)) for index in range(count)]


def load(path: Path, **options: Any) -> Data:
    return AmazonUcsd(path=path, **options).load(7, lambda event: None)


def texts(data: Data) -> set[str]:
    return {text for name in SPLITS for text in getattr(data, name).texts}


class TestAmazonUcsd(DatasetSuite):
    @pytest.fixture
    def component(self, write: Callable[..., Path]) -> AmazonUcsd:
        return AmazonUcsd(path=write(*good(300), name="reviews.json.gz"))


class TestAmazonUcsdFromTheCache(DatasetSuite):
    @pytest.fixture
    def component(self, own_home: Path) -> AmazonUcsd:
        cache = files.cache() / "amazon-ucsd"
        cache.mkdir(parents=True)
        content = "".join(line + "\n" for line in good(300)).encode()
        (cache / "reviews_Musical_Instruments.json.gz").write_bytes(gzip.compress(content))
        return AmazonUcsd(category="musical instruments", five_core=False, text="summary+reviewText", rows=120)


def test_every_row_of_a_real_file_is_accounted_for(shared: Path) -> None:
    data = load(shared / "amazon/reviews_Musical_Instruments_5.json.gz")
    assert data.classes == ("negative", "positive")
    assert data.report.rows_read == 10_261
    assert data.report.dropped == {"stars without a class": 772, "empty text": 7, "duplicate": 4}
    assert data.report.counts == {
        "train": {"negative": 373, "positive": 7209},
        "valid": {"negative": 47, "positive": 901},
        "test": {"negative": 47, "positive": 901},
    }
    seen = Counter(folded(text) for name in SPLITS for text in getattr(data, name).texts)
    assert max(seen.values()) == 1
    assert set(data.train.columns["stars"]) == {1, 2, 4, 5}
    assert min(year for year in data.train.columns["year"] if year) == 2004


def test_json_and_python_literals_give_the_same_rows(write: Callable[..., Path]) -> None:
    rows = [review(index, reviewText=f'He said "{index}", it\'s \u00e9l\u00e9gant\\n {{}}') for index in range(60)]
    as_json = load(write(*map(json.dumps, rows), name="a.json"))
    as_literals = load(write(*map(repr, rows), name="b.json.gz"))
    assert texts(as_json) == texts(as_literals)
    assert as_json.report.fingerprint == as_literals.report.fingerprint


ATTACKS = (
    "__import__('os').system('touch {marker}')",
    "{{'overall': 5.0, 'reviewText': __import__('os').system('touch {marker}')}}",
    "{{'overall': 5.0, 'reviewText': open('{marker}', 'w').write('x')}}",
    "{{'overall': 5.0, 'reviewText': (lambda: open('{marker}', 'w'))()}}",
    "{{'overall': 5.0, 'reviewText': [open('{marker}', 'w') for _ in (1,)]}}",
    "{{'overall': 5.0, 'reviewText': f\"{{open('{marker}', 'w')}}\"}}",
    "{{**vars(__import__('builtins')), 'x': open('{marker}', 'w')}}",
    "{{'overall': 5.0, 'reviewText': 'x'}}; open('{marker}', 'w')",
)


@pytest.mark.parametrize("attack", ATTACKS)
def test_code_in_a_line_is_never_run_and_counts_as_damage(
    attack: str, write: Callable[..., Path], tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    line = attack.format(marker=marker)
    data = load(write(*good(200), line))
    assert data.report.damaged_lines == (201,)
    assert data.report.dropped["damaged line"] == 1
    assert not marker.exists()


@pytest.mark.parametrize(
    "bomb",
    [
        "{'a': " + "(" * 100_000 + ")" * 100_000 + "}",
        "{'a': " + "-" * 100_000 + "1}",
        "{'a': " + "1+" * 100_000 + "1}",
        "{'a': " + "{1:" * 150 + "1" + "}" * 150 + "}",
        '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
        "{'a': " + "9" * 10_000 + "}",
        "{'a': 'x" + "x" * 2**20 + "'}",
        "{'a': {[]: 1}}",
    ],
    ids=["parentheses", "signs", "sums", "dicts", "lists", "digits", "long", "unhashable"],
)
def test_a_line_that_would_overload_the_parser_counts_as_damaged(bomb: str, write: Callable[..., Path]) -> None:
    code = (
        "import sys; from pathlib import Path; from ftkit_amazon_ucsd import AmazonUcsd;"
        "print(AmazonUcsd(path=Path(sys.argv[1])).load(0, lambda event: None).report.damaged_lines)"
    )
    path = write(*good(200), bomb)
    finished = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "(201,)\n", "")


@settings(deadline=None)
@given(
    st.binary(max_size=60) | st.text(max_size=40).map(lambda text: f"{{'overall': {text}}}".encode("utf-8", "replace"))
)
def test_any_line_is_read_or_refused_with_a_reason(line: bytes) -> None:
    try:
        assert isinstance(parsing.parse(line), dict)
    except ValueError as error:
        assert str(error)  # noqa: PT017 -- either outcome is right


@settings(deadline=None)
@given(
    st.fixed_dictionaries({"reviewText": st.text(st.characters(codec="utf-8")), "overall": st.sampled_from((1.0, 5))})
)
def test_any_review_is_read_in_both_forms(fields: dict[str, Any]) -> None:
    assert parsing.parse(json.dumps(fields).encode()) == fields
    assert parsing.parse(repr(fields).encode()) == fields


def test_unknown_escapes_in_literals_raise_no_warning(write: Callable[..., Path]) -> None:
    import warnings

    lines = [rf"{{'overall': {1 + index % 5}.0, 'reviewText': 'a \d {index}'}}" for index in range(30)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert r"a \d 0" in texts(load(write(*lines)))


DAMAGED = (
    b'{"overall": 5.0, "reviewText": "cut off',
    b'{"overall": 5.0, "reviewText": "caf\xe9"}',
    b'{"reviewText": "no stars"}',
    b'{"overall": 6.0, "reviewText": "six"}',
    b'{"overall": 4.5, "reviewText": "between"}',
    b'{"overall": NaN, "reviewText": "none"}',
    b'{"overall": "5.0", "reviewText": "as text"}',
    b'{"overall": true, "reviewText": "as truth"}',
    b'{"overall": 5.0, "reviewText": ["a", "list"]}',
    b"[1, 2]",
    b"5",
    b"\x00\x01",
)


def test_damaged_lines_are_counted_and_named_by_number(write: Callable[..., Path]) -> None:
    data = load(write(*DAMAGED, *good(100), name="reviews.json.gz"), max_damaged=0.2)
    assert data.report.damaged_lines == tuple(range(1, 13))
    assert data.report.dropped["damaged line"] == 12
    assert data.report.rows_read == 112


def test_too_many_damaged_lines_stop_the_load(write: Callable[..., Path]) -> None:
    path = write(*good(100), *DAMAGED, *DAMAGED)
    with pytest.raises(DataError) as caught:
        load(path)
    assert "24 of 124 rows are damaged (19.35%; the limit is 1.00%)" in caught.value.what
    assert "lines 101, 102, 103" in caught.value.what
    assert "and 4 more" in caught.value.what
    assert "neither a JSON object nor a Python dict" in caught.value.what
    assert caught.value.where == f"{path}:101"
    assert "max_damaged" in caught.value.hint


def test_reviews_without_a_text_are_empty_not_damaged(write: Callable[..., Path]) -> None:
    lines = [json.dumps(review(0, reviewText=None)), '{"overall": 5.0}', json.dumps(review(0, reviewText=" "))]
    data = load(write(*good(100), *lines))
    assert data.report.dropped == {"stars without a class": 20, "empty text": 3}
    both = load(write(*good(100), *lines), text="summary+reviewText")
    assert both.report.dropped == {"stars without a class": 20, "empty text": 1, "duplicate": 1}


def test_blank_lines_are_not_rows(write: Callable[..., Path]) -> None:
    data = load(write("", *good(100), " ", "{"))
    assert data.report.rows_read == 101
    assert data.report.damaged_lines == (103,)


def test_text_is_the_chosen_field_or_both(write: Callable[..., Path]) -> None:
    path = write(*good())
    assert "Number 0, it's fine." in texts(load(path))
    assert "Summary 0" in texts(load(path, text="summary"))
    assert "Summary 0\nNumber 0, it's fine." in texts(load(path, text="summary+reviewText"))


def test_classes_are_ordered_by_their_stars_however_they_are_written(write: Callable[..., Path]) -> None:
    data = load(write(*good()), stars={"loved": (5,), "fine": (3, 4), "hated": (1, 2)})
    assert data.classes == ("hated", "fine", "loved")
    for name in SPLITS:
        rows = getattr(data, name)
        expected = {1: 0, 2: 0, 3: 1, 4: 1, 5: 2}
        assert [expected[star] for star in rows.columns["stars"]] == list(rows.labels)


def test_reviews_of_a_person_stay_together_and_the_newest_are_the_test_rows(write: Callable[..., Path]) -> None:
    some = [
        review(index, reviewerID=f"A{index // 5 % 40}", asin=f"B{index % 7}", unixReviewTime=1393545600 + 86400 * index)
        for index in range(200)
    ]
    path = write(*map(json.dumps, some))
    person = {each["reviewText"]: each["reviewerID"] for each in some}
    data = load(path, group="reviewerID")
    train, valid, test = ({person[text] for text in getattr(data, name).texts} for name in SPLITS)
    assert not train & valid and not train & test and not valid & test
    number = {each["reviewText"]: index for index, each in enumerate(some)}
    data = load(path, time="unixReviewTime")
    train, valid, test = ({number[text] for text in getattr(data, name).texts} for name in SPLITS)
    assert max(train) < min(valid) <= max(valid) < min(test)
    assert any("train 2014-02-28 to" in note for note in data.report.notes)


def test_stars_can_be_an_order(write: Callable[..., Path]) -> None:
    stars = {str(number): (number,) for number in (5, 1, 4, 2, 3)}
    data = load(write(*good(200)), stars=stars, task="ordinal")
    assert (data.task, data.classes) == ("ordinal", ("1", "2", "3", "4", "5"))


def test_stars_and_years_are_kept_as_columns(write: Callable[..., Path]) -> None:
    odd = json.dumps(review(1, unixReviewTime="yesterday", reviewText="when?"))
    data = load(write(*good(), odd))
    years = {year for name in SPLITS for year in getattr(data, name).columns["year"]}
    assert years == {2014, None}


def test_a_cut_gzip_file_is_reported(write: Callable[..., Path]) -> None:
    path = write(*good(), name="reviews.json.gz")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match="damaged or ends too early") as caught:
        load(path)
    assert caught.value.where == str(path)
    assert "download it again" in caught.value.hint


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load(tmp_path / "reviews.json.gz")


def test_a_local_file_must_have_the_expected_hash(write: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="SHA-256"):
        load(write(*good()), sha256="0" * 64)


def test_one_class_is_refused(write: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="only one class: all 50 rows are 'positive'"):
        load(write(*(json.dumps(review(index, overall=5.0)) for index in range(50))))


@pytest.mark.parametrize("name", ["Musical_Instruments", "musical instruments", "Musical-Instruments"])
def test_the_words_of_a_category_may_be_joined_in_several_ways(name: str) -> None:
    assert archive.file_name(name, True) == "reviews_Musical_Instruments_5.json.gz"
    assert archive.file_name("Clothing, Shoes & Jewelry", False) == "reviews_Clothing_Shoes_and_Jewelry.json.gz"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"category": "Automotiv"}, "category 'Automotiv' is not in the archive. Did you mean 'Automotive'"),
        ({"category": "kitchen"}, "Did you mean 'Home_and_Kitchen'"),
        ({"category": "xyz"}, "The archive has Amazon_Instant_Video"),
        (
            {"category": "../x", "base_url": "http://127.0.0.1/"},
            "category '../x' has characters that cannot be part of a file name",
        ),
        ({"base_url": "ftp://example.org"}, "base_url must begin with http"),
        ({"sha256": "abc"}, "sha256 must be 64"),
        ({"retries": -1}, "retries must not be negative"),
        ({"timeout": 0}, "timeout must be above 0"),
        ({"stars": {"all": (1, 2, 3)}}, "stars must have at least two classes"),
        ({"stars": {"a": (1,), "b": (6,)}}, "stars are from 1 to 5, not 6"),
        ({"stars": {"a": (1, 2), "b": (2, 3)}}, "stars has 2 in two classes"),
        ({"max_damaged": -0.1}, "max_damaged must be a share"),
        ({"rows": 1}, "rows must be at least"),
    ],
)
def test_options_that_do_not_fit_are_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is compared below
        AmazonUcsd(**options)
    assert message in str(caught.value)


def test_importing_the_plugin_loads_no_client_library() -> None:
    code = "import sys, ftkit_amazon_ucsd; sys.exit(any(name in sys.modules for name in ('httpx', 'numpy', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
