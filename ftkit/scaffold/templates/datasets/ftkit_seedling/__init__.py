"""A data set for ftkit: a folder with one text file for each class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from ftkit import hookimpl
from ftkit.contracts import Data, Emit
from ftkit.data.rows import Rows
from ftkit.data.rules import Rules
from ftkit.data.splits import split
from ftkit.errors import DataError
from ftkit.events import Progressed


@dataclass(frozen=True, kw_only=True)
class Seedling:
    """Texts of a folder with one file for each class, such as `good.txt` and `bad.txt`."""

    name: ClassVar[str] = "seedling"
    path: Path
    """The folder; a relative path starts at the recipe's folder."""
    names: Mapping[str, str] = field(default_factory=dict)
    """The names of the classes by the names of the files, without `.txt`; without it, both are the same."""
    unit: Literal["line", "paragraph"] = "line"
    """What one text is: a line, or the lines up to an empty one."""
    comments: tuple[str, ...] = ("#",)
    """Lines that begin with one of these are no text."""
    encoding: str = "utf-8"
    """The encoding of the files."""
    min_words: int = 1
    """Shorter texts are left out."""
    test_share: float = 0.1
    """Share of the rows that are the test split, and as many the validation split."""
    recursive: bool = False
    """Whether folders inside the folder have further files."""

    def __post_init__(self) -> None:
        if not 0 < self.test_share < 0.5:
            raise ValueError("test_share must be above 0 and below 0.5")
        if self.min_words < 1:
            raise ValueError("min_words must be at least 1")

    def load(self, seed: int, emit: Emit) -> Data:
        """Read the files, and let ftkit clean and split the rows as those of every data set."""
        paths = sorted(self.path.glob("**/*.txt" if self.recursive else "*.txt"))
        if not paths:
            hint = "Name a folder with one text file for each class, such as good.txt and bad.txt."
            raise DataError("there are no text files", where=str(self.path), hint=hint)
        rows = Rows(str(self.path))
        for done, path in enumerate(paths):
            for text in self._texts(path):
                if len(text.split()) < self.min_words:
                    rows.drop("fewer words than min_words")
                else:
                    rows.add(text, self.names.get(path.stem, path.stem))
            emit(Progressed(f"reading {self.path.name}", done + 1, len(paths), "files"))
        rest = 1 - 2 * self.test_share
        return split(rows, (), Rules(seed=seed, shares=(rest, self.test_share, self.test_share)), emit=emit)

    def _texts(self, path: Path) -> Iterator[str]:
        """The texts of a file. Raises: DataError."""
        try:
            content = path.read_text(encoding=self.encoding)
        except (OSError, UnicodeError, LookupError) as error:
            hint = "Set encoding to the one in which the file was written."
            raise DataError(f"the file cannot be read: {error}", where=str(path), hint=hint) from error
        lines = [line.strip() for line in content.splitlines() if not line.startswith(self.comments)]
        if self.unit == "paragraph":
            lines = [" ".join(paragraph.split("\n")) for paragraph in "\n".join(lines).split("\n\n")]
        return (line for line in lines if line)


@hookimpl
def datasets() -> list[type[Seedling]]:
    """The data sets of this plugin."""
    return [Seedling]
