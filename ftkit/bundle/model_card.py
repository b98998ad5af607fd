"""The model card of a bundle: what the model is, what it was trained on, how good it is, and what it cannot do.

Source: the format is Hugging Face's, "Model Cards": Markdown below a YAML head.
"""

from __future__ import annotations

import json
import math
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ftkit.contracts import AnswerRule, DataReport, Description, Task, Trial
from ftkit.contracts.tasks import SINGLE_LABEL
from ftkit.data import description
from ftkit.evaluation import selection
from ftkit.evaluation.metrics import GREATER_IS_BETTER
from ftkit.formatting import capital, count
from ftkit.redaction import redacted

_ANSWER: Mapping[Task, str] = {
    "single-label": "one of {count} labels",
    "multi-label": "any number of {count} labels, also none",
    "ordinal": "one of {count} labels, which are an order, the lowest first",
}
_PACKAGES = ("ftkit", "torch", "transformers", "tokenizers", "safetensors", "accelerate", "numpy")


def card(
    *,
    name: str,
    classes: Sequence[str],
    backbone: Mapping[str, Any],
    data: DataReport,
    metric: str,
    trials: Sequence[Trial],
    best: Trial,
    task: Task = SINGLE_LABEL,
    description: Description | None = None,
    preferred: str = "",
    rule: AnswerRule | None = None,
) -> str:
    """The card as Markdown; the same facts give the same card on one installation.

    `backbone` is its recipe section with the winning values, `description` what it declares of its pretrained weights. Test metrics are
    not here: a bundle is written before the test split is opened.
    """
    sections = [
        _head(name, backbone, data, best),
        f"# {_one_line(name)}",
        (
            f"A text classifier that gives each text {_ANSWER[task].format(count=len(classes))}: {', '.join(map(_code, classes))}. "
            f"It is `{backbone.get('use', '?')}`, fine-tuned by ftkit {_version('ftkit')}."
        ),
        "## How to use it",
        _use(task),
        _one_line(rule.sentence) if rule else "",
        _made_from(description),
        "## How it was trained",
        (
            f"Backbone `{backbone.get('use', '?')}` with these values (found by the search: "
            f"{', '.join(_code(key) for key in best.values) or 'none'}):"
        ),
        _table(("option", "value"), ((key, _recipe_value(value)) for key, value in backbone.items() if key != "use")),
        _search(metric, trials, best, preferred),
        _repeats(metric, trials, best),
        "`recipe.toml` beside this card is the whole recipe; `ftkit run recipe.toml` carries it out again.",
        "## The data",
        _rows(data),
        _split_table(classes, data),
        "## How it did on the validation split",
        _table(("metric", "value"), ((key, _number(value)) for key, value in best.metrics.items())),
        (
            "These numbers chose this model among the trials above, so they flatter it. The test split was opened later, once, by the "
            "promotion tests: their verdicts and the test metrics are kept with the run and in the model registry."
        ),
        "## Limits",
        "\n".join(f"- {each}" for each in _limits(classes, backbone, data, task)),
        "## Made with",
        _table(("package", "version"), _versions()),
    ]
    return redacted("\n\n".join(section for section in sections if section)) + "\n"


def _head(name: str, backbone: Mapping[str, Any], data: DataReport, best: Trial) -> str:
    """The YAML head; its values are written as JSON, which is valid YAML and needs no library."""
    values: dict[str, Any] = {
        "library_name": "ftkit",
        "pipeline_tag": "text-classification",
        "tags": ["text-classification", "ftkit"],
    }
    checkpoint = str(backbone.get("checkpoint") or "")
    if re.fullmatch(r"[\w.-]+(/[\w.-]+)?", checkpoint) and not Path(checkpoint).exists():
        values["base_model"] = checkpoint
    scores = {key: value for key, value in best.metrics.items() if math.isfinite(value)}
    if scores:
        result = {
            "task": {"type": "text-classification"},
            "dataset": {"name": data.source, "type": "text", "split": "validation"},
            "metrics": [{"type": key, "value": value} for key, value in scores.items()],
        }
        values["model-index"] = [{"name": name, "results": [result]}]
    lines = (f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())
    return "\n".join(["---", *lines, "---"])


def _made_from(description: Description | None) -> str:
    """What the backbone declares of its pretrained weights; empty where it declares nothing."""
    if description is None:
        return ""
    return f"## What it was made from\n\n{_table(('fact', 'value'), description.in_words)}"


def _use(task: Task) -> str:
    labels = "the list of labels of each text" if task == "multi-label" else "the label names"
    return "\n".join(
        [
            "```python",
            "import ftkit",
            "",
            'model = ftkit.load("PATH/TO/THIS/FOLDER")  # every file is compared with its hash first',
            f'model.predict(["a text"])  # {labels}',
            'model.probabilities(["a text"])  # one row for each text, columns in the order of model.classes',
            "```",
            "",
            "```sh",
            'ftkit predict PATH/TO/THIS/FOLDER "a text"',
            "```",
        ]
    )


def _search(metric: str, trials: Sequence[Trial], best: Trial, preferred: str) -> str:
    searched = selection.searched_trials(trials)
    counts = {state: sum(trial.state == state for trial in searched) for state in ("finished", "stopped", "failed")}
    states = f"{counts['finished']} finished, {counts['stopped']} stopped early, {counts['failed']} failed"
    if preferred or len(searched) < len(trials):
        then = capital(preferred or "its best were then trained again with other seeds.")
        text = f"The search ran {count(len(searched), 'trial')}: {states}. {then}"
    else:
        text = (
            f"Trial {best.number} (seed {best.seed}) won {count(len(searched), 'trial')}: {states}. The best {metric} on the "
            f"validation split decided: {_number(best.metrics.get(metric, math.nan))}, reached in epoch {best.epoch}."
        )
    ranked = [trial for trial in searched if math.isfinite(trial.metrics.get(metric, math.nan))]
    if len(ranked) < 2:
        return text
    ranked.sort(key=lambda trial: trial.metrics[metric], reverse=GREATER_IS_BETTER.get(metric, True))
    fields = list(dict.fromkeys(key for trial in ranked for key in trial.values))
    rows = (
        (
            str(trial.number),
            *(_recipe_value(trial.values.get(key, "")) for key in fields),
            _number(trial.metrics[metric]),
            str(trial.epoch),
        )
        for trial in ranked[:5]
    )
    return f"{text} The best of them:\n\n{_table(('trial', *fields, metric, 'epoch'), rows)}"


def _repeats(metric: str, trials: Sequence[Trial], best: Trial) -> str:
    """The best configurations over other seeds; empty where none was repeated."""
    repeated = selection.spreads(trials, metric)
    rows = (
        (
            str(each.number),
            _number(each.searched),
            *(_number(math.nan if value is None else value) for value in (each.mean, each.deviation)),
            f"{_number(each.low)} to {_number(each.high)}" if each.low is not None and each.high is not None else "",
            f"{each.finished}" + (f" ({each.failed} failed)" if each.failed else ""),
        )
        for each in repeated
    )
    table = _table(("trial", "in the search", "mean", "standard deviation", "range", "other seeds"), list(rows))
    if not repeated or repeated[0].number not in (best.number, best.repeats):
        return table if repeated else ""
    repeat = f", a repeat of trial {best.repeats}" if best.repeats is not None else ""
    model = f"trial {best.number} (seed {best.seed}{repeat}), {metric} {_number(best.metrics[metric])} in epoch {best.epoch}"
    if repeated[0].mean is None:
        return f"No repeat came to a value, so the search alone decided: {model}.\n\n{table}"
    return (
        f"The values of trial {repeated[0].number} have the best mean {metric} over other seeds and won. The trial of the search "
        "itself is not part of the mean, since it was chosen for being good. Of the models with these values the best one is in "
        f"this bundle: {model}.\n\n{table}"
    )


def _rows(data: DataReport) -> str:
    dropped = ", ".join(f"{count:,} {_one_line(reason)}" for reason, count in data.dropped.items() if count) or "none"
    lines = [
        f"- Source: {_code(data.source)}",
        f"- Rows read: {data.rows_read:,}; dropped: {dropped}",
        f"- Fingerprint: `{data.fingerprint}`",
    ]
    if data.lengths:
        lines.append(f"- Words in a text: {', '.join(f'{key} {value:,}' for key, value in data.lengths.items())}")
    lines.extend(f"- {_one_line(text)}" for text in description.how_read(data))
    if tokens := description.what_is_seen(data.tokens):
        lines.append(f"- Tokens: {tokens}")
    lines.extend(f"- {_one_line(note)}" for note in data.notes)
    lines.extend(f"- **Warning:** {_one_line(warning)}" for warning in data.warnings)
    return "\n".join(lines)


def _split_table(classes: Sequence[str], data: DataReport) -> str:
    splits = list(data.counts)
    rows = [(each, *(f"{data.counts[split].get(each, 0):,}" for split in splits)) for each in classes]
    totals = ("all rows" if data.rows else "all", *(f"{data.sizes[split]:,}" for split in splits))
    return _table(("class", *splits), [*rows, totals])


READ = {
    "head": "the first {} tokens only",
    "head-tail": "the beginning and the end only, {} tokens together",
    "windows": "windows of {} tokens, and answers by their mean or largest logits",
}
"""What is read of a text that is too long, by the option long_texts."""


def _limits(classes: Sequence[str], backbone: Mapping[str, Any], data: DataReport, task: Task) -> list[str]:
    """The known weaknesses, derived from options and data alone."""
    limits = [
        "It answers any text, also one of a kind that it was not trained on."
        if task == "multi-label"
        else "It answers one of its labels for any text, also for one that belongs to none of them.",
        "It was measured on rows like those it was trained on, not on other sources, languages or times.",
        _calibrated(backbone),
    ]
    if length := backbone.get("max_length"):
        way = str(backbone.get("long_texts", "head"))
        limits.append(f"Of a longer text it reads {READ.get(way, READ['head']).format(length)}.")
    counts = data.counts.get("train", {})
    shares = {each: counts.get(each, 0) for each in classes}
    if total := data.sizes.get("train", 0):
        rare, common = min(shares, key=lambda each: shares[each]), max(shares, key=lambda each: shares[each])
        limits.append(
            f"It was trained on {total:,} rows; the rarest class, {_code(rare)}, has {shares[rare]:,} of them."
        )
        if shares[common] >= 3 * max(shares[rare], 1):
            limits.append(
                f"The classes are unbalanced: {shares[common] / total:.0%} of the training rows are {_code(common)}. "
                "Accuracy alone says little."
            )
    if data.damaged_lines:
        limits.append("Some lines of the source were damaged and are not part of the data.")
    return limits


def _calibrated(backbone: Mapping[str, Any]) -> str:
    if backbone.get("calibration", "none") == "none":
        return "Its probabilities were not calibrated."
    return "Its probabilities were calibrated on the validation rows; on rows unlike them they may mean less than they say."


def _versions() -> list[tuple[str, str]]:
    versions = [(each, _version(each)) for each in _PACKAGES]
    return [("Python", platform.python_version()), *((each, version) for each, version in versions if version)]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    if len(lines) == 2:
        return ""
    return "\n".join(
        f"| {' | '.join(_one_line(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def _recipe_value(value: Any) -> str:
    """A value approximately as a recipe writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Path):
        return str(value)
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _number(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "not defined"


def _code(text: str) -> str:
    return f"`{_one_line(text).replace('`', chr(39))}`"


def _one_line(text: object) -> str:
    """The text on one line: a name from a data file must not begin a heading or a row of its own."""
    return " ".join(str(text).split())
