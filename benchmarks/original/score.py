"""A scoring script in the manner of the original's, for azureml-inference-server-http: a Trainer and a data set for every request."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

model: Any = None
tokenizer: Any = None


class Rows(torch.utils.data.Dataset):
    """The tokens of one request."""

    def __init__(self, encodings: Any) -> None:
        self.encodings = encodings

    def __len__(self) -> int:
        return len(self.encodings["input_ids"])

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {name: torch.tensor(values[index]) for name, values in self.encodings.items()}


def init() -> None:
    """Load the model, once."""
    global model, tokenizer
    transformers.utils.logging.set_verbosity_error()
    folder = Path(os.environ["AZUREML_MODEL_DIR"])
    model = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)


def run(raw_data: str) -> list[str]:
    """A label for each text of one request."""
    texts = [row["text"] for row in json.loads(raw_data)["data"]]
    rows = Rows(tokenizer(texts, truncation=True, padding=True))
    output = os.path.join(tempfile.gettempdir(), "original-trainer")
    arguments = TrainingArguments(output_dir=output, report_to="none", disable_tqdm=True, use_cpu=True)
    found: Any = Trainer(model=model, args=arguments).predict(rows).predictions
    return [model.config.id2label[int(index)] for index in found.argmax(axis=1)]
