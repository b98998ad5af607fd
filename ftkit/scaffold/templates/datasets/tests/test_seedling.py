import random
from pathlib import Path

import pytest
from ftkit.errors import DataError
from ftkit.testing.datasets import DatasetSuite

from ftkit_seedling import Seedling

WORDS = ("lamp", "that", "the", "shop", "sent", "me", "was", "on", "my", "table", "for", "two", "weeks", "and", "then")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of 120 texts, of which some are not to be read."""
    generator = random.Random(7)
    for name, own in (("good", "bright sturdy quiet"), ("bad", "broken noisy cracked")):
        texts = [" ".join(generator.choices([*WORDS, *3 * own.split()], k=9)) for _ in range(120)]
        (tmp_path / f"{name}.txt").write_text("\n".join(["# a comment", *texts, "", "short"]), encoding="utf-8")
    return tmp_path


class TestSeedling(DatasetSuite):
    @pytest.fixture
    def component(self, folder: Path) -> Seedling:
        return Seedling(path=folder, names={"good": "positive"}, min_words=3)


def test_files_are_classes_and_what_is_left_out_is_counted(folder: Path) -> None:
    dataset = Seedling(path=folder, names={"good": "positive"}, min_words=3)
    data = dataset.load(7, lambda event: None)
    assert data.classes == ("bad", "positive")
    assert data.report.dropped["fewer words than min_words"] == 2


def test_a_paragraph_may_be_a_text(tmp_path: Path) -> None:
    for name in ("good", "bad"):
        texts = [f"{name} text {word} begins\nand {word} ends" for word in WORDS]
        (tmp_path / f"{name}.txt").write_text("\n\n".join(texts), encoding="utf-8")
    data = Seedling(path=tmp_path, unit="paragraph", test_share=0.2).load(7, lambda event: None)
    assert all(" begins and " in text for text in data.train.texts)


def test_a_folder_without_texts_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no text files"):
        Seedling(path=tmp_path).load(7, lambda event: None)


def test_a_file_of_another_encoding_is_an_error(folder: Path) -> None:
    (folder / "good.txt").write_bytes(b"caf\xe9\n" * 50)
    with pytest.raises(DataError, match="cannot be read"):
        Seedling(path=folder).load(7, lambda event: None)
