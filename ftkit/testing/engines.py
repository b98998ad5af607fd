"""What the engines of a backbone must do, as tests to inherit: they answer as the model does, in any batch.

    class TestModernBertEngines(EngineSuite):
        tolerances = {"onnx": 1e-4}

        @pytest.fixture
        def component(self, checkpoint):
            return ModernBert(checkpoint=checkpoint, epochs=4, learning_rate=3e-3, engines=("onnx",))

The component should be small, and be able to learn three classes that differ in their words. An engine's probabilities may be off the
model's by 0.1, or by what `tolerances` says, and at least 98 of 100 ordinary texts get the same class. The same text gets the same
answer within 0.0001, whatever texts are in the request, and whichever threads ask. What `save` of an engine writes is the whole saved
model with that engine: `load` and `load_engine` read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from ftkit import files
from ftkit.bundle import pickles
from ftkit.bundle.answers import wrong_probabilities
from ftkit.contracts import Backbone, Classifier, Counting, Exporting, Reading, capable
from ftkit.errors import BundleError
from ftkit.testing.components import Made, OwnHome
from ftkit.testing.separable import CLASSES, ODD_TEXTS, separable, separable_data

TOLERANCE = 0.1
"""How far a probability of an engine may be from the model's, unless `tolerances` says otherwise."""


class EngineSuite(OwnHome):
    """Inherit as a class named `Test…` and override the fixture `component` with one that has the engines to test."""

    tolerances: ClassVar[Mapping[str, float]] = {}
    """By engine, how far a probability may be from the model's; 0.1 for engines that are not named."""

    @pytest.fixture
    def component(self) -> Backbone:
        """The backbone under test, small, quick to train, and with engines."""
        raise NotImplementedError("override the fixture `component`")

    @pytest.fixture(scope="class")
    @classmethod
    def trained(cls) -> Made:
        """What the tests of the class have trained and exported."""
        return Made()

    @pytest.fixture
    def exported(self, component: Any, trained: Made, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
        """A trained model with its engines in a folder, and the digests of the files before the export."""

        def export() -> SimpleNamespace:
            folder = tmp_path_factory.mktemp("model")
            component.fit(separable_data(), 3, lambda *_, **__: True).save(folder)
            before = {path: files.sha256(path) for path in folder.rglob("*") if path.is_file()}
            component.export(folder)
            model = type(component)().load(folder)
            engines = {name: type(component)().load_engine(folder, name) for name in component.engines}
            return SimpleNamespace(folder=folder, before=before, model=model, engines=engines)

        return trained.of(component, export)

    @pytest.fixture
    def texts(self) -> list[str]:
        """Ordinary texts, and after them odd ones."""
        return [*separable(60, 5).texts, *ODD_TEXTS]

    def test_the_backbone_offers_engines(self, component: Any) -> None:
        assert capable(component, Exporting), "a backbone with engines has `engines`, `export` and `load_engine`"
        assert component.engines, "give the component of the fixture the engines to test"
        assert len(set(component.engines)) == len(component.engines), "an engine is named twice"

    def test_exporting_adds_files_that_cannot_run_code_and_changes_none(self, exported: SimpleNamespace) -> None:
        for path, digest in exported.before.items():
            assert files.sha256(path) == digest, f"`export` changed {path.name}: it adds files only"
        added = [path for path in exported.folder.rglob("*") if path.is_file() and path not in exported.before]
        assert added, "`export` wrote nothing"
        own_folders = [str(folder).encode() for folder in (Path(__file__).parents[2], exported.folder)]
        for path in added:
            finding = pickles.finding(path)
            assert not finding, f"{path.name}: {finding}"
            content = path.read_bytes()
            assert not any(each in content for each in own_folders), f"{path.name} names a folder of this machine"

    def test_classes_are_those_of_the_model(self, exported: SimpleNamespace) -> None:
        for name, engine in exported.engines.items():
            assert tuple(engine.classes) == CLASSES, f"{name} has other classes than the model"

    def test_answers_are_those_of_the_model(self, exported: SimpleNamespace, texts: list[str]) -> None:
        expected = exported.model.probabilities(texts)
        for name, engine in exported.engines.items():
            probabilities = engine.probabilities(texts)
            wrong = wrong_probabilities(probabilities, len(texts), len(CLASSES))
            assert not wrong, f"{name} answers by {wrong}"
            np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6, err_msg=f"rows of {name} must sum to 1")
            tolerance = self.tolerances.get(name, TOLERANCE)
            far = f"{name} is further from the model than {tolerance:g}, which `tolerances` may change"
            np.testing.assert_allclose(probabilities, expected, atol=tolerance, err_msg=far)
            ordinary = len(texts) - len(ODD_TEXTS)
            same = probabilities[:ordinary].argmax(axis=1) == expected[:ordinary].argmax(axis=1)
            assert same.mean() >= 0.98, f"{name} gives {1 - same.mean():.0%} of ordinary texts another class"

    def test_an_answer_does_not_depend_on_the_other_texts(self, exported: SimpleNamespace, texts: list[str]) -> None:
        for name, engine in exported.engines.items():
            together = engine.probabilities(texts)
            alone = np.concatenate([engine.probabilities([text]) for text in texts])
            backwards = engine.probabilities(texts[::-1])[::-1]
            np.testing.assert_allclose(alone, together, atol=1e-4, err_msg=f"{name}: an answer depends on other texts")
            np.testing.assert_allclose(backwards, together, atol=1e-4, err_msg=f"{name}: answers depend on the order")

    def test_reading_and_computing_give_the_same_answers_in_two_steps(
        self, exported: SimpleNamespace, texts: list[str]
    ) -> None:
        for name, engine in {"native": exported.model, **exported.engines}.items():
            expected = engine.probabilities(texts)
            if not capable(engine, Reading):
                continue
            assert engine.calls >= 1, f"{name} allows no call at all"
            rows = list(engine.read(texts))
            if capable(engine, Counting):
                assert list(engine.tokens(texts)) == list(map(len, rows)), (
                    f"`tokens` of {name} counts others than `read`"
                )
            waiting = list(range(len(texts)))
            while waiting:
                chosen = engine.together([len(rows[index]) for index in waiting])
                assert 0 in chosen, "the row that waits longest must be in the next call"
                indices = [waiting[place] for place in chosen]
                probabilities = engine.computed([rows[index] for index in indices])
                off = f"{name}: `computed(read(texts))` differs from `probabilities(texts)`"
                np.testing.assert_allclose(probabilities, expected[indices], atol=1e-4, err_msg=off)
                waiting = [index for index in waiting if index not in indices]

    def test_an_empty_request_gets_an_empty_answer(self, exported: SimpleNamespace) -> None:
        for name, engine in exported.engines.items():
            shape = engine.probabilities([]).shape
            assert shape == (0, len(CLASSES)), f"{name} answers no texts by shape {shape}, not (0, classes)"

    def test_threads_get_the_answers_of_a_single_thread(self, exported: SimpleNamespace, texts: list[str]) -> None:
        requests = [[text] for text in texts[:40]]
        for name, engine in exported.engines.items():
            alone = [engine.probabilities(request) for request in requests]
            with ThreadPoolExecutor(4) as pool:
                together = list(pool.map(engine.probabilities, requests * 2))
            for index, probabilities in enumerate(together):
                np.testing.assert_allclose(
                    probabilities,
                    alone[index % len(requests)],
                    atol=1e-6,
                    err_msg=f"{name}: threads disturb each other",
                )

    def test_a_saved_engine_is_the_whole_model_with_this_engine(
        self, component: Any, exported: SimpleNamespace, tmp_path: Path
    ) -> None:
        texts = ["ship wave", "bread oven", ""]
        for name, engine in exported.engines.items():
            (tmp_path / name).mkdir()
            engine.save(tmp_path / name)
            model: Classifier = type(component)().load(tmp_path / name)
            other = f"what `save` of {name} wrote is not the model that it was exported from"
            np.testing.assert_array_equal(model.probabilities(texts), exported.model.probabilities(texts), other)
            loaded = type(component)().load_engine(tmp_path / name, name)
            other = f"what `save` of {name} wrote has another engine"
            np.testing.assert_array_equal(loaded.probabilities(texts), engine.probabilities(texts), other)

    def test_an_unknown_engine_is_a_bundle_error(self, component: Any, exported: SimpleNamespace) -> None:
        with pytest.raises(BundleError, match="no-such"):
            type(component)().load_engine(exported.folder, "no-such")
