"""The card of a repository says what transformers does otherwise than ftkit."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from ftkit.bundle.bundle import Bundle
from ftkit.encoders.long_texts import LongTexts
from ftkit.hub.card import card
from ftkit.hub.transformers_form import Form
from ftkit.testing.bundles import toy_record

FORM = Form(LongTexts(), 128, False, 1.0, True)
RULE = {"thresholds": {"good": 0.7}, "below": 0.6, "abstains": True}


def made(bundle: Bundle, form: Form = FORM, **entries: Any) -> str:
    changed = Bundle(bundle.folder, {**bundle.manifest, **entries}, bundle.hash)
    return card(changed, toy_record(bundle.hash), "me/toy", form)


@pytest.mark.parametrize(
    ("form", "entries", "words"),
    [
        (FORM, {}, "more than 128 tokens"),
        (FORM, {"decision": RULE}, "Thresholds: good from 0.7 on."),
        (FORM, {"decision": RULE}, "leaves no text unanswered"),
        (FORM, {"task": "multi-label"}, "top_k=None"),
        (FORM, {"task": "ordinal"}, "The labels are an order"),
        (dataclasses.replace(FORM, paired=True), {}, '"text_pair"'),
        (dataclasses.replace(FORM, long_texts=LongTexts("windows")), {}, "windows of 128 tokens"),
        (dataclasses.replace(FORM, temperature=2.5), {}, "part of the weights"),
        (dataclasses.replace(FORM, temperature=2.5, folded=False), {}, "not calibrated"),
    ],
)
def test_it_says_what_transformers_cannot_know(toy: Bundle, form: Form, entries: dict[str, Any], words: str) -> None:
    assert words in made(toy, form, **entries)


def test_it_says_nothing_of_what_the_model_does_not_do(toy: Bundle) -> None:
    text = made(toy)
    assert [word for word in ("hreshold", "windows", "temperature", "text_pair", "order") if word in text] == []


def test_a_card_that_has_no_head_gets_one(toy: Bundle) -> None:
    assert Path(toy.folder, "README.md").read_text() == "# A toy\n"
    head, _, body = made(toy).removeprefix("---\n").partition("---\n")
    assert "model-index" in head and "# A toy" in body
