"""A data report in sentences that terminal, page and model card share: how files were read, and what the backbone sees."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

from ftkit.contracts import DataReport
from ftkit.formatting import listing, percent

_SHARES = {
    "cut": "of the texts are cut",
    "unknown": "of the tokens are unknown",
    "spelt": "of the texts are read letter by letter",
    "same": "of the texts have the tokens of another text",
}
_KNOWN = {
    *_SHARES,
    "texts",
    "median_tokens",
    "max_length",
    "lost",
    "hardly_read",
    "same_other_label",
    "tokens_per_character",
    "read_head",
    "read_head_tail",
    "read_windows",
    "windows",
    "tail",
}


def how_read(report: DataReport) -> list[str]:
    """A sentence for each way in which files were read; files are named without their folders."""
    files_of: dict[str, list[str]] = {}
    for path, form in report.files.items():
        kind = [form["format"]] if "format" in form else []
        options = [f"{option} {value}" for option, value in form.items() if option != "format"]
        files_of.setdefault(", ".join(kind + options), []).append(PurePath(path.replace("\\", "/")).name)
    return [
        f"{listing(names, 3)} {'was' if len(names) == 1 else 'were'} read as {text}" for text, names in files_of.items()
    ]


def what_is_seen(tokens: Mapping[str, float]) -> str:
    """What the backbone sees of the texts; empty if it does not say."""
    parts = []
    if "median_tokens" in tokens:
        parts.append(f"half of the texts have at most {tokens['median_tokens']:,.0f}")
    if "max_length" in tokens:
        parts.append(_read(tokens))
    for name, text in _SHARES.items():
        if tokens.get(name):
            parts.append(f"{_percent(tokens[name])} {text}")
            if name == "cut":
                parts[-1] += f" and half of these lose {_percent(tokens.get('lost', 0.0))} or more"
    if "read_windows" in tokens:
        shares = [_percent(tokens[f"read_{way}"]) for way in ("head", "head_tail", "windows")]
        parts.append(f"of all tokens head reads {shares[0]}, head-tail {shares[1]}, windows {shares[2]}")
    parts += [f"{name.replace('_', ' ')} {value:.4g}" for name, value in tokens.items() if name not in _KNOWN]
    return ", ".join(parts)


def _read(tokens: Mapping[str, float]) -> str:
    length = tokens["max_length"]
    if "windows" in tokens:
        return f"all are read in windows of {length:,.0f}, {tokens['windows']:.1f} a text"
    if "tail" in tokens:
        return f"the first {length - tokens['tail']:,.0f} and the last {tokens['tail']:,.0f} are read"
    return f"the first {length:,.0f} are read"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else percent(share)
