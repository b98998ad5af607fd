"""Requests to a model of pairs: both texts by their names, and mistakes that name the one that is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftkit import pairs
from ftkit.bundle import bundle as bundles
from ftkit.bundle.bundle import Bundle
from ftkit.contracts import Data
from ftkit.display import summary
from ftkit.serving.handler import model_reply, respond
from ftkit.serving.limits import Limits
from ftkit.serving.model_host import ModelHost
from ftkit.serving.openapi import document
from ftkit.serving.schema import Refusal, parse
from ftkit.testing.separable import PAIR, paired_data


@pytest.fixture(scope="module")
def data() -> Data:
    return paired_data()


@pytest.fixture(scope="module")
def bundle(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    linear = pytest.importorskip("ftkit_linear.backbone")
    folder = tmp_path_factory.mktemp("pairs")
    linear.Linear().fit(data, 1, lambda *reported, **numbers: True).save(folder / "model")
    return bundles.write(
        folder / "bundle", model=folder / "model", classes=data.classes, fields=PAIR, backbone={"use": "linear"},
        recipe='name = "pairs"\n', card="# pairs\n", sample_texts=data.valid.texts[:2], about={"run": "pairs"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def host(bundle: Bundle) -> Any:
    host = ModelHost(bundle.folder)
    host.load()
    assert host.status.state == "ready", host.status.reason
    yield host
    host.close()


def test_a_bundle_of_pairs_names_their_texts(bundle: Bundle, data: Data) -> None:
    assert bundles.verify(bundle.folder).fields == PAIR
    assert bundle.sample_request["data"][0] == pairs.as_row(data.valid.texts[0], PAIR)
    labels = bundle.predict([pairs.sides(text) for text in data.valid.texts])
    assert np.mean([bundle.classes.index(label) for label in labels] == np.array(data.valid.labels)) > 0.9


def test_a_request_has_both_texts_by_their_names(host: ModelHost, bundle: Bundle, data: Data) -> None:
    rows = [{**pairs.as_row(text, PAIR), "id": 7} for text in data.valid.texts]
    reply = respond(host, json.dumps({"data": rows, "scores": True}).encode(), {})
    assert reply.status == 200, reply.body
    scores = [[row["scores"][name] for name in bundle.classes] for row in json.loads(reply.body)]
    np.testing.assert_allclose(scores, bundle.probabilities(data.valid.texts), atol=1e-9)


@pytest.mark.parametrize(
    ("row", "where", "what"),
    [
        ({"premise": "a"}, "data[0].hypothesis", "data[0].hypothesis is missing"),
        ({"hypothesis": "a"}, "data[0].premise", "data[0].premise is missing"),
        ({"text": "a"}, "data[0].premise", "data[0].premise is missing (1 more like it)"),
        ({"premise": "a", "hypothesis": None}, "data[0].hypothesis", "is null; it must be a string"),
        ("a", "data[0]", "data[0] is a string; it must be an object"),
    ],
)
def test_a_request_without_one_of_them_is_refused_by_its_name(
    host: ModelHost, row: object, where: str, what: str
) -> None:
    reply = respond(host, json.dumps({"data": [row]}).encode(), {})
    refusal = json.loads(reply.body)
    assert reply.status == 422 and refusal["where"] == where and what in refusal["error"]
    assert refusal["hint"] == 'Send {"data": [{"premise": "…", "hypothesis": "…"}]}.'


def test_names_of_columns_need_not_be_names_in_python() -> None:
    fields = ("review body.text", "class")
    body = json.dumps({"data": [dict.fromkeys(fields, "a")]}).encode()
    assert parse(body, Limits(), fields).data[0].text == pairs.join("a", "a")
    with pytest.raises(Refusal, match=r"data\[0\].class is missing"):
        parse(b'{"data": [{"review body.text": "a"}]}', Limits(), fields)


def test_what_is_served_and_its_page_name_the_texts(host: ModelHost) -> None:
    assert json.loads(model_reply(host).body)["fields"] == [*PAIR]
    schemas = document("pairs", {}, guarded=False, fields=PAIR)["components"]["schemas"]
    assert [*schemas["Row"]["properties"]] == schemas["Row"]["required"] == [*PAIR]


def test_the_command_that_calls_an_endpoint_has_both_texts(bundle: Bundle) -> None:
    row = summary.sample(bundle.folder)
    assert isinstance(row, dict) and row.keys() == {*PAIR}


@pytest.mark.parametrize("fields", [["premise", "premise"], [], ["a", "b", "c"], "text", [1, 2]])
def test_a_manifest_with_other_fields_is_refused(bundle: Bundle, tmp_path: Path, fields: object) -> None:
    from ftkit.bundle import manifest

    with pytest.raises(TypeError, match="fields are the name of one text, or of two"):
        manifest.check(manifest.sealed({**bundle.manifest, "fields": fields}))


def test_an_endpoint_knows_the_texts_of_a_deployed_bundle(bundle: Bundle, tmp_path: Path) -> None:
    from ftkit.bundle.manifest import fields_of

    assert fields_of(bundle.folder) == PAIR and fields_of(tmp_path) == ("text",)
