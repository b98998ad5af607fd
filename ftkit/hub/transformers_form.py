"""The model of a bundle in the form that transformers loads from the root of a repository.

A model that ftkit's encoders saved has this form already, but for its temperature, which transformers does not know. It is put
into the weights: dividing those of the last layer divides the logits.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftkit import pairs, strict_json
from ftkit.bundle.bundle import Bundle
from ftkit.encoders import long_texts as ways
from ftkit.encoders import temperature as temperatures
from ftkit.encoders.hub import first_line
from ftkit.encoders.long_texts import LongTexts
from ftkit.errors import BundleError

WEIGHTS = "model.safetensors"
OURS = ("temperature.json", "long_texts.json")
"""Files of a saved model that transformers does not know."""
TOLERANCE = 1e-3
"""How far a probability of transformers may be from that of the bundle: float32, summed in another order."""


@dataclass(frozen=True)
class Form:
    """What transformers makes of the model of a bundle, and what it cannot know."""

    long_texts: LongTexts
    length: int
    """Tokens of a row, special ones included."""
    paired: bool
    temperature: float
    folded: bool
    """Whether the temperature is in the weights."""


def possible(bundle: Bundle) -> bool:
    """Whether the model of a bundle is one that transformers classifies texts with."""
    folder = bundle.folder / "model"
    try:
        kinds = strict_json.read_object(folder / "config.json").get("architectures")
    except (OSError, ValueError):
        return False
    classifies = isinstance(kinds, list) and any(str(each).endswith("ForSequenceClassification") for each in kinds)
    return classifies and (folder / WEIGHTS).is_file()


def write(bundle: Bundle, folder: Path) -> Form:
    """Write the files for the root of a repository, and hold their answers to those of the bundle.

    Raises: BundleError when transformers cannot load them, or answers otherwise; OSError.
    """
    from ftkit.encoders.process_environment import set_thread_waiting

    set_thread_waiting()
    source = bundle.folder / "model"
    temperature = temperatures.load(source)
    for path in sorted(each for each in source.iterdir() if each.is_file()):
        if path.name == WEIGHTS and temperature == 1.0:
            (folder / WEIGHTS).symlink_to(path.absolute())  # the largest file: it is read from where it is
        elif path.name not in (*OURS, WEIGHTS):
            shutil.copy(path, folder / path.name)
    folded = temperature == 1.0 or _fold(source, folder, temperature)
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    paired = len(bundle.fields) > 1
    form = Form(ways.load(source), int(settings["model_max_length"]), paired, temperature, folded)
    _check(bundle, folder, form)
    return form


def _fold(source: Path, folder: Path, temperature: float) -> bool:
    """Write the weights with the last layer divided by the temperature; as they are where there is no such layer."""
    from safetensors.torch import load_file, save_file

    weights = load_file(source / WEIGHTS)
    head = _head(source)
    if f"{head}.weight" not in weights:
        (folder / WEIGHTS).symlink_to((source / WEIGHTS).absolute())
        return False
    for name in (f"{head}.weight", f"{head}.bias"):
        if name in weights:
            weights[name] = weights[name] / temperature
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    return True


def _head(source: Path) -> str:
    """The name of the layer that gives the logits, empty where the model has none outside its encoder."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.from_pretrained(source, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(config)
    prefix = f"{model.base_model_prefix}."
    layers = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and module.out_features == config.num_labels
        and not name.startswith(prefix)
    ]
    return layers[-1] if layers else ""


def _check(bundle: Bundle, folder: Path, form: Form) -> None:
    """Raises: BundleError unless transformers answers the bundle's sample request as the bundle does."""
    import numpy as np
    import transformers

    texts = [pairs.of_row(row, bundle.fields) for row in bundle.sample_request["data"]]
    if form.long_texts.way != "head":  # of longer texts transformers reads something else, which the card says
        texts = [text for text, tokens in zip(texts, _tokens(bundle, texts), strict=True) if tokens < form.length]
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        pipeline = transformers.pipeline("text-classification", model=str(folder), device="cpu")
        answers: Any = (
            pipeline([asked(text, form.paired) for text in texts], truncation=True, top_k=None) if texts else []
        )
    except Exception as error:  # the files decide its type
        raise BundleError(
            f"transformers cannot load what would be pushed: {first_line(error)}",
            where=str(bundle.folder),
            hint="Nothing was pushed. Use the version of transformers that the bundle's README.md names.",
        ) from error
    by_name = [{each["label"]: each["score"] for each in answer} for answer in answers]
    if not texts:
        return
    theirs = np.array([[scores.get(name, np.nan) for name in bundle.classes] for scores in by_name])
    ours = np.asarray(bundle.probabilities(texts))
    alike = np.abs(theirs - ours).max() <= TOLERANCE if form.folded else (theirs.argmax(1) == ours.argmax(1)).all()
    if not alike:
        raise BundleError(
            "transformers would answer otherwise than the tested model",
            where=str(bundle.folder),
            hint="Nothing was pushed. Use the version of transformers that the bundle's README.md names.",
        )


def asked(text: str, paired: bool) -> Any:
    """A text as the pipeline of transformers takes it."""
    return dict(zip(("text", "text_pair"), pairs.sides(text), strict=True)) if paired else text


def _tokens(bundle: Bundle, texts: list[str]) -> list[int]:
    from ftkit.contracts import Counting, capable

    return list(bundle.classifier.tokens(texts)) if capable(bundle.classifier, Counting) else [0] * len(texts)
