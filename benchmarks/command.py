"""The command line of a measurement: its module's docstring as help, and the options that all have."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def parser(name: str, text: str | None, rows: int | None, rows_are: str) -> argparse.ArgumentParser:
    """A parser with --data, --rows and --json, whose help is the text; `rows_are` is the help of --rows."""
    parser = plain(name, text)
    parser.add_argument(
        "--data",
        type=there,
        metavar="PATH",
        help="a reviews_*.json.gz of the UCSD archive (default: BBC News, as pip installs it)",
    )
    parser.add_argument("--rows", type=int, default=rows, metavar="N", help=f"{rows_are} (default: {rows})")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the results, machine and versions to this file"
    )
    return parser


def plain(name: str, text: str | None) -> argparse.ArgumentParser:
    """A parser without options whose help is the text."""
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks {name}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def there(path: str) -> Path:
    """The type of an option that names a file or a folder to read: one that is not there is refused before anything runs."""
    if not Path(path).exists():
        raise argparse.ArgumentTypeError(f"there is no {path}")
    return Path(path).resolve()


def settings(options: argparse.Namespace) -> dict[str, object]:
    """The options as JSON can hold them; of paths only the file's name."""
    return {
        name: os.path.basename(value) if isinstance(value, Path) else value
        for name, value in vars(options).items()
        if name != "json"
    }
