"""The command line of a measurement: its module's text as help, and the options that all have."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def parser(name: str, text: str | None, rows: int | None, rows_are: str) -> argparse.ArgumentParser:
    """A parser with --data, --rows and --json, whose help is the text; `rows_are` says what the rows are for here."""
    found = plain(name, text)
    found.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="a reviews_*.json.gz of the UCSD archive; BBC News, which pip installed, when not given",
    )
    found.add_argument("--rows", type=int, default=rows, metavar="N", help=f"{rows_are} (default: {rows})")
    found.add_argument("--json", type=Path, metavar="FILE", help="write the results, machine and versions here, too")
    return found


def plain(name: str, text: str | None) -> argparse.ArgumentParser:
    """A parser without options whose help is the text."""
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks {name}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def settings(asked: argparse.Namespace) -> dict[str, object]:
    """What was asked for, as JSON can hold it; of the data only the file's name."""
    return {
        name: os.path.basename(value) if isinstance(value, Path) else value
        for name, value in vars(asked).items()
        if name != "json"
    }
