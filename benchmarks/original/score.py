"""A scoring script that does for each request what the original's does, for azureml-inference-server-http.

A data frame of the texts becomes a data set of the `datasets` library, which is tokenised by its `map`, and a Trainer that was made
once predicts on it. The original's pickled labels and its printing are left out. Source: Azure/AzureML-NLP, src_v1/score.py.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

trainer: Any = None
tokenizer: Any = None


def init() -> None:
    """Load the model, once."""
    global trainer, tokenizer
    transformers.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    folder = Path(os.environ["AZUREML_MODEL_DIR"])
    model = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    output = os.path.join(tempfile.gettempdir(), "original-trainer")
    arguments = TrainingArguments(output_dir=output, report_to="none", disable_tqdm=True, use_cpu=True)
    trainer = Trainer(model=model, args=arguments, processing_class=tokenizer)


def tokenised(rows: dict[str, list[Any]]) -> Any:
    """The token ids of rows."""
    return tokenizer(rows["text"], truncation=True)


def run(raw_data: str) -> list[str]:
    """A label for each text of one request."""
    frame = pd.DataFrame(json.loads(raw_data)["data"]).dropna()
    rows = datasets.Dataset.from_pandas(frame).map(tokenised, batched=True)
    logits = trainer.predict(rows).predictions
    return [trainer.model.config.id2label[int(index)] for index in logits.argmax(axis=1)]
