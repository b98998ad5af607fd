"""A registered bundle that MLflow's own tools load and serve."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from ftkit_mlflow import MLflow, packaging
from ftkit_mlflow.model import Labels

from ftkit.bundle import bundle as bundles
from ftkit.bundle.bundle import Bundle
from ftkit.contracts import Data, Split
from ftkit.encoders.inference.classifier import EncoderClassifier
from ftkit.errors import BundleError
from ftkit.testing.registries import make_lineage
from ftkit.testing.toys import ToyReviews, ToyWords, install

TEXTS = ["sturdy bright perfect quiet happy", "broke cracked useless noisy refund"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of the quickstart's real encoder, fine-tuned on a few rows."""
    quickstart = pytest.importorskip("ftkit_quickstart", reason="the quickstart plugin is not installed")
    folder = tmp_path_factory.mktemp("encoder")
    data: Data = ToyReviews().load(7, lambda _: None)
    few = dataclasses.replace(data, train=Split(data.train.texts[:16], data.train.labels[:16]), cache=folder)
    few = dataclasses.replace(few, valid=few.train).without_test()
    backbone = quickstart.MiniLM(epochs=1, batch_size=8, max_length=32, calibration="temperature")
    model = folder / "model"
    model.mkdir()
    backbone.fit(few, 7, lambda *_, **__: True).save(model)
    return bundles.write(
        folder / "bundle",
        model=model,
        classes=data.classes,
        backbone={"use": "minilm", "calibration": "temperature"},
        recipe='name = "reviews"\n',
        card="# Reviews\n",
        sample_texts=TEXTS,
        about={},
    )


@pytest.fixture(scope="module")
def champion(shared: str, encoder: Bundle) -> str:
    """The name of a model whose champion is the encoder."""
    registry = MLflow(model="encoder-reviews", tracking_uri=shared)
    registry.promote(registry.register(encoder.folder, make_lineage(encoder)).version)
    return registry.model


@pytest.fixture
def loaded(shared: str, champion: str) -> Iterator[Any]:
    """The champion as MLflow loads it."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(shared)
    try:
        yield mlflow.pyfunc.load_model(f"models:/{champion}@champion")
    finally:
        mlflow.set_tracking_uri(before)


def test_mlflow_predicts_what_the_bundle_predicts(loaded, encoder):
    table = pd.DataFrame({"text": TEXTS})
    assert loaded.predict(table) == bundles.verify(encoder.folder).predict(TEXTS)
    scored = loaded.predict(table, params={"scores": True})
    expected = encoder.probabilities(TEXTS)
    assert [each["label"] for each in scored] == loaded.predict(table)
    for answer, row in zip(scored, expected, strict=True):
        assert list(answer["scores"]) == list(encoder.classes)
        assert np.allclose(list(answer["scores"].values()), row)
        assert answer["score"] == max(answer["scores"].values())


def test_mlflow_applies_the_fitted_temperature(loaded, encoder):
    model: Any = encoder.classifier
    assert model.temperature != 1.0
    raw = EncoderClassifier(model.model, model.tokenizer, model.length).probabilities(TEXTS)
    expected = raw ** (1 / model.temperature)
    expected /= expected.sum(axis=1, keepdims=True)
    scored = loaded.predict(pd.DataFrame({"text": TEXTS}), params={"scores": True})
    calibrated = np.array([list(each["scores"].values()) for each in scored])
    assert np.allclose(calibrated, expected)
    assert not np.allclose(calibrated, raw)


@pytest.mark.parametrize(
    "given",
    [
        TEXTS,
        tuple(TEXTS),
        pd.Series(TEXTS),
        pd.Series(TEXTS, name="review", index=[7, 7]),
        pd.Series(TEXTS, dtype="string"),
        pd.DataFrame({"text": TEXTS}),
        pd.DataFrame({"id": [1, 2], "text": TEXTS, "title": ["a", "b"]}),
        pd.DataFrame({"review": TEXTS}),
        pd.DataFrame(TEXTS),
        {"text": TEXTS},
        {"review": TEXTS},
        {"text": np.array(TEXTS)},
        {"text": pd.Series(TEXTS)},
        [{"text": text} for text in TEXTS],
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        np.array(TEXTS).reshape(2, 1),
    ],
    ids=lambda given: type(given).__name__,
)
def test_texts_in_every_form_get_one_label_each(loaded, encoder, given):
    assert loaded.predict(given) == encoder.predict(TEXTS)
    assert len(loaded.predict(given, params={"scores": True})) == 2


@pytest.mark.parametrize(
    "given",
    [TEXTS[0], {"text": TEXTS[0]}, {"text": [TEXTS[0]]}, np.array(TEXTS[0]), pd.DataFrame({"text": [TEXTS[0]]})],
)
def test_one_text_gets_one_label(loaded, encoder, given):
    assert loaded.predict(given) == encoder.predict(TEXTS[:1])


def test_no_texts_get_no_labels_and_empty_texts_get_one_as_at_the_endpoint(loaded):
    for nothing in ([], pd.DataFrame({"text": pd.Series([], dtype=object)}), np.array([]), {"text": []}):
        assert loaded.predict(nothing) == []
    assert len(loaded.predict(["", " ", "great"])) == 3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["great", None], "data[1].text is null; it must be a string"),
        (pd.DataFrame({"text": ["great", None]}), "data[1].text is null; it must be a string"),
        (pd.Series([float("nan"), "great"]), "data[0].text is null; it must be a string"),
        (pd.Series(["great", pd.NA], dtype="string"), "data[1].text is null; it must be a string"),
        (["great", 3], "data[1].text is a number; it must be a string"),
        (np.array([1.5, 2.5]), "data[0].text is a number; it must be a string"),
        ([True], "data[0].text is a boolean; it must be a string"),
        ([["great"]], "data[0].text is a list; it must be a string"),
        ([{"review": "great"}], "data[0].text is missing"),
        (pd.DataFrame({"review": ["great"], "id": [1]}), "the columns are review, id"),
        ({"review": ["great"], "id": [1]}, "the columns are review, id"),
        (np.array([["great", "bad"], ["a", "b"]]), "shape (2, 2)"),
        (7, "int holds no texts"),
    ],
)
def test_what_is_no_text_is_refused_in_the_words_of_the_endpoint(loaded, given, expected):
    with pytest.raises(mlflow.exceptions.MlflowException) as caught:
        loaded.predict(given)
    assert expected in str(caught.value)
    assert caught.value.get_http_status_code() == 400


def test_a_version_that_was_registered_with_a_signature_of_its_input_takes_a_dict_of_lists(encoder):
    """MLflow makes one row of it there."""
    given = pd.DataFrame([{"text": TEXTS}])
    assert Labels(encoder).predict(given) == encoder.predict(TEXTS)


def test_the_input_example_is_a_table_that_the_model_takes(loaded):
    example = loaded.metadata.load_input_example()
    assert list(example["text"]) == TEXTS
    assert len(loaded.predict(example)) == 2


def test_a_changed_bundle_is_not_served(encoder, tmp_path):
    import shutil

    from ftkit_mlflow.model import _load_pyfunc

    shutil.copytree(encoder.folder, tmp_path / "bundle")
    (tmp_path / "bundle" / "README.md").write_text("changed")
    with pytest.raises(BundleError, match=r"README\.md"):
        _load_pyfunc(str(tmp_path / "bundle"))


def test_mlflow_models_serve_answers_over_http(shared, champion, encoder, tmp_path, helpers):
    port = helpers.free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", f"models:/{champion}@champion"]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    # MLflow starts uvicorn by its name, which an activated environment has on its path.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with helpers.started(command, tmp_path / "log", MLFLOW_TRACKING_URI=shared, PATH=path) as process:
        helpers.wait_until_it_answers(f"http://127.0.0.1:{port}/ping", process, tmp_path / "log")

        def ask(body: dict[str, Any]) -> Any:
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["predictions"]

        split = {"columns": ["text"], "data": [[text] for text in TEXTS]}
        assert ask({"dataframe_split": split}) == encoder.predict(TEXTS)
        assert ask({"inputs": TEXTS}) == encoder.predict(TEXTS)
        assert ask({"instances": [{"text": text} for text in TEXTS]}) == encoder.predict(TEXTS)
        with pytest.raises(urllib.error.HTTPError) as caught:
            ask({"dataframe_records": [{"text": None}]})
        assert caught.value.code == 400
        assert "data[0].text is null" in caught.value.read().decode()
        (scored,) = ask({"dataframe_records": [{"text": TEXTS[0]}], "params": {"scores": True}})
        assert set(scored["scores"]) == set(encoder.classes)
        assert scored["label"] == encoder.predict(TEXTS[0])[0]


def test_a_model_of_several_labels_answers_lists_and_says_so_in_its_signature(tmp_path: Path) -> None:
    data = ToyReviews(task="multi-label").load(7, lambda _: None)
    (tmp_path / "model").mkdir()
    ToyWords(epochs=12).fit(data.without_test(), 7, lambda *_, **__: True).save(tmp_path / "model")
    with install(tmp_path / "plugins"):
        bundle = bundles.write(
            tmp_path / "bundle",
            model=tmp_path / "model",
            classes=data.classes,
            task="multi-label",
            backbone={"use": "toy-words"},
            recipe='name = "toy"\n',
            card="# A toy\n",
            sample_texts=TEXTS,
            about={},
        )
        assert Labels(bundle).predict(["sturdy bright easy", "broke noisy cheap"]) == [["good"], ["bad"]]
        with packaging.model_files(bundle, "a-run", "model", {}) as folder:
            written = (folder / "MLmodel").read_text(encoding="utf-8")
    assert '"type": "array", "items": {"type": "string"}, "name": "labels"' in written
    assert "task: multi-label" in written
