"""A plain transformers pipeline behind FastAPI, as in tutorials: `uvicorn benchmarks.pipeline:app`.

BENCHMARK_MODEL names the folder of the model.
"""

from __future__ import annotations

import os

import transformers
from fastapi import FastAPI
from pydantic import BaseModel

classify = transformers.pipeline("text-classification", model=os.environ["BENCHMARK_MODEL"], device="cpu")
app = FastAPI()


class Row(BaseModel):
    """One text to classify."""

    text: str


class Body(BaseModel):
    """The body of a request."""

    data: list[Row]


@app.post("/score")
def score(body: Body) -> list[str]:
    """A label for each text; FastAPI calls it in a pool of threads."""
    return [each["label"] for each in classify([row.text for row in body.data], truncation=True)]
