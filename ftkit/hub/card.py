"""The card of a repository: that of the bundle, with what the hub asks for and what transformers does otherwise.

Source: Hugging Face hub documentation, "Model Cards", for the keys of the head.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftkit import options, plugins
from ftkit.bundle.bundle import Bundle
from ftkit.bundle.promotion_record import PromotionRecord
from ftkit.contracts import Description
from ftkit.contracts.backbones import ANY_LANGUAGE, UNKNOWN, declared
from ftkit.errors import PluginError
from ftkit.hub.transformers_form import Form
from ftkit.redaction import redacted

FOLDER = "ftkit"
"""The folder of the bundle in the repository."""
_TASK = "text-classification"


def card(
    bundle: Bundle, record: PromotionRecord, repository: str, form: Form | None, licence: str | None = None
) -> str:
    """The card as Markdown; `form` is None where transformers cannot load the model, `licence` goes before the known one."""
    head, body = _parts(bundle.folder / "README.md")
    body = body.replace("PATH/TO/THIS/FOLDER", f"FOLDER/{FOLDER}")
    body = body.replace("`recipe.toml` beside this card", f"`{FOLDER}/recipe.toml`")
    first, marker, rest = body.partition("## How to use it")
    sections = [
        _head({**head, **_facts(bundle, record, form, licence)}, record),
        first.strip(),
        _with_transformers(bundle, repository, form) if form else _without_transformers(bundle, repository),
        f"## How to use it with ftkit\n\n```sh\nhf download {repository} --include '{FOLDER}/*' --local-dir FOLDER\n```",
        rest.strip() if marker else f'```sh\nftkit predict FOLDER/{FOLDER} "a text"\n```',
        _promotion(record),
    ]
    return redacted("\n\n".join(each for each in sections if each)) + "\n"


def _parts(path: Path) -> tuple[dict[str, Any], str]:
    """The head of a bundle's card as values, and what is below it."""
    import yaml
    from huggingface_hub import metadata_load

    text = path.read_text(encoding="utf-8")
    try:
        head = metadata_load(path)
    except (ValueError, yaml.YAMLError):
        head = None
    if not head:
        return {}, text
    return dict(head), text.split("---", 2)[2]


def _head(values: Mapping[str, Any], record: PromotionRecord) -> str:
    """The YAML head, its values as JSON; the metrics of the test split stand beside those of the validation split."""
    entries = [dict(each) for each in values.get("model-index", ())] or [
        {"name": record.name or "model", "results": []}
    ]
    metrics = {key: value for key, value in record.metrics.items() if math.isfinite(value)}
    results = list(entries[0]["results"])
    if metrics:
        source = results[0]["dataset"] if results else {"name": "the data of the recipe", "type": "text"}
        results.append(
            {
                "task": {"type": _TASK},
                "dataset": {**source, "split": "test"},
                "metrics": [{"type": key, "value": value} for key, value in metrics.items()],
            }
        )
    entries[0]["results"] = results
    head = {**values, **({"model-index": entries} if results else {})}
    lines = (f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items())
    return "\n".join(["---", *lines, "---"])


def _facts(bundle: Bundle, record: PromotionRecord, form: Form | None, licence: str | None) -> dict[str, Any]:
    """What the head says beside the metrics."""
    description = _description(bundle)
    known = description.licence if description and description.licence != UNKNOWN else ""
    languages: tuple[str, ...] = description.languages if description else ()
    return {
        "library_name": "transformers" if form else "ftkit",
        "pipeline_tag": _TASK,
        "tags": [_TASK, "ftkit"],
        **({"license": licence or known} if licence or known else {}),
        # Of a model that was pretrained in many languages nobody has said in which it was fine-tuned.
        **({"language": languages[0]} if len(languages) == 1 and languages[0] != ANY_LANGUAGE else {}),
    }


def _description(bundle: Bundle) -> Description | None:
    """What the backbone declares of its pretrained weights; None where its plugin is another one by now."""
    section = dict(bundle.manifest["backbone"])
    try:
        return declared(options.build(plugins.load().find("backbones", section.pop("use")), section))
    except (options.Mistakes, PluginError):
        return None


def _with_transformers(bundle: Bundle, repository: str, form: Form) -> str:
    several = bundle.task == "multi-label"
    text = '{"text": "a text", "text_pair": "another"}' if form.paired else '"a text"'
    answer = "the probability of every label" if several else "a label name and its probability"
    return "\n".join(
        [
            "## How to use it with transformers",
            "",
            "```python",
            "from transformers import pipeline",
            "",
            f'classifier = pipeline("{_TASK}", "{repository}")',
            f"classifier({text}, truncation=True{', top_k=None' if several else ''})  # {answer}",
            "```",
            "",
            "What is different from the tested bundle:",
            "",
            *(f"- {each}" for each in _differences(bundle, form)),
        ]
    )


def _differences(bundle: Bundle, form: Form) -> list[str]:
    """What transformers does otherwise than ftkit with the same model."""
    from ftkit.bundle.model_card import READ

    cut = f"Without `truncation=True` a text of more than {form.length:,} tokens is not cut, and may be an error."
    if form.long_texts.way != "head":
        read = READ[form.long_texts.way].format(f"{form.length:,}")
        cut += f" With it only the beginning is read, where ftkit reads {read}: answers to such texts differ."
    lines = [cut]
    if form.temperature != 1.0:
        lines.append(
            f"The temperature that calibrates the probabilities ({form.temperature:.4g}) is part of the weights here, so they are the "
            "same but for rounding."
            if form.folded
            else f"The probabilities are not calibrated: the temperature ({form.temperature:.4g}) could not be put into the weights."
        )
    if bundle.rule and bundle.rule.sentence:
        lines.append(
            f"transformers knows no thresholds and leaves no text unanswered; ftkit does: {bundle.rule.sentence}"
        )
    if bundle.task == "multi-label":
        lines.append(
            "Which labels a text has is for the caller to decide: ftkit gives those from their threshold, or 0.5, on."
        )
    if bundle.task == "ordinal":
        lines.append(f"The labels are an order, which transformers does not know: {', '.join(bundle.classes)}.")
    lines.append("Hashes are not compared and the promotion record is not read; ftkit does both.")
    return lines


def _without_transformers(bundle: Bundle, repository: str) -> str:
    use = bundle.manifest["backbone"]["use"]
    return f"transformers cannot load the backbone `{use}`: `{repository}` holds the bundle of ftkit alone, in `{FOLDER}/`."


def _promotion(record: PromotionRecord) -> str:
    rows = (f"| {each.test} | {each.status} | {_cell(each.sentence)} |" for each in record.verdicts)
    numbers = ", ".join(f"{key} {value:.4f}" for key, value in record.metrics.items() if math.isfinite(value))
    lines = ["## Promotion tests", "", record.conclusion, ""]
    if record.verdicts:
        lines += ["| test | verdict | in words |", "| --- | --- | --- |", *rows, ""]
    lines.append(f"On {record.rows:,} rows of the test split: {numbers or 'no metrics'}.")
    lines.append(f"`{FOLDER}/promotion.json` is the whole record.")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
