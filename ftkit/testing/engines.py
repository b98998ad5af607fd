"""What the engines of a backbone must do, as tests to inherit: they answer as the model does, in any batch.

    class TestModernBertEngines(EngineSuite):
        @pytest.fixture(scope="class")
        def component(self, tmp_path_factory):
            folder = tmp_path_factory.mktemp("tiny")
            return ModernBert(checkpoint=str(tiny_bert(folder)), epochs=4, learning_rate=3e-3, engines=("onnx",))

The component should be small, and be able to learn three classes that differ in their words.
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
from ftkit.contracts import Backbone, Classifier, Counting, Exporting, Reading
from ftkit.errors import BundleError
from ftkit.testing.backbones import CLASSES, ODD_TEXTS, separable, separable_data


class EngineSuite:
    """Inherit it and override the fixture `component` with one that has the engines to test."""

    tolerances: ClassVar[Mapping[str, float]] = {}
    """By engine, how far a probability may be from the model's; 0.1 for engines that are not named."""

    @pytest.fixture(scope="class")
    def component(self) -> Backbone:
        """The backbone under test, small, quick to train, and with engines."""
        raise NotImplementedError("override the fixture `component`")

    @pytest.fixture(scope="class")
    def exported(self, component: Any, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
        """A trained model with its engines in a folder, and the digests of the files before the export."""
        folder = tmp_path_factory.mktemp("model")
        component.fit(separable_data(), 3, lambda *_, **__: True).save(folder)
        before = {path: files.sha256(path) for path in folder.rglob("*") if path.is_file()}
        component.export(folder)
        model = type(component)().load(folder)
        engines = {name: type(component)().load_engine(folder, name) for name in component.engines}
        return SimpleNamespace(folder=folder, before=before, model=model, engines=engines)

    @pytest.fixture(scope="class")
    def texts(self) -> list[str]:
        return [*separable(60, 5).texts, *ODD_TEXTS]

    def test_the_backbone_offers_engines(self, component: Any) -> None:
        assert isinstance(component, Exporting)
        assert component.engines
        assert len(set(component.engines)) == len(component.engines)

    def test_exporting_adds_files_that_cannot_run_code_and_changes_none(self, exported: SimpleNamespace) -> None:
        for path, digest in exported.before.items():
            assert files.sha256(path) == digest, path.name
        added = [path for path in exported.folder.rglob("*") if path.is_file() and path not in exported.before]
        assert added
        for path in added:
            content = path.read_bytes()
            assert not content.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")), (
                path.name
            )
            own_folder = str(Path(__file__).parents[2]).encode()
            assert own_folder not in content, f"{path.name} names a folder of this machine"

    def test_classes_are_those_of_the_model(self, exported: SimpleNamespace) -> None:
        for engine in exported.engines.values():
            assert tuple(engine.classes) == CLASSES

    def test_answers_are_those_of_the_model(self, exported: SimpleNamespace, texts: list[str]) -> None:
        expected = exported.model.probabilities(texts)
        for name, engine in exported.engines.items():
            probabilities = engine.probabilities(texts)
            assert probabilities.dtype == np.float64
            np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
            np.testing.assert_allclose(probabilities, expected, atol=self.tolerances.get(name, 0.1), err_msg=name)
            ordinary = len(texts) - len(ODD_TEXTS)
            same = probabilities[:ordinary].argmax(axis=1) == expected[:ordinary].argmax(axis=1)
            assert same.mean() >= 0.98, name

    def test_an_answer_does_not_depend_on_the_other_texts(self, exported: SimpleNamespace, texts: list[str]) -> None:
        for name, engine in exported.engines.items():
            together = engine.probabilities(texts)
            alone = np.concatenate([engine.probabilities([text]) for text in texts])
            backwards = engine.probabilities(texts[::-1])[::-1]
            np.testing.assert_allclose(alone, together, atol=1e-4, err_msg=name)
            np.testing.assert_allclose(backwards, together, atol=1e-4, err_msg=name)

    def test_reading_and_computing_give_the_same_answers_in_two_steps(
        self, exported: SimpleNamespace, texts: list[str]
    ) -> None:
        for name, engine in {"native": exported.model, **exported.engines}.items():
            expected = engine.probabilities(texts)
            if not isinstance(engine, Reading):
                continue
            assert engine.calls >= 1
            rows = list(engine.read(texts))
            if isinstance(engine, Counting):
                assert list(engine.tokens(texts)) == list(map(len, rows)), name
            waiting = list(range(len(texts)))
            while waiting:
                chosen = engine.together([len(rows[index]) for index in waiting])
                assert 0 in chosen, "the row that waits longest must be in the next call"
                indices = [waiting[place] for place in chosen]
                probabilities = engine.computed([rows[index] for index in indices])
                np.testing.assert_allclose(probabilities, expected[indices], atol=1e-4, err_msg=name)
                waiting = [index for index in waiting if index not in indices]

    def test_an_empty_request_gets_an_empty_answer(self, exported: SimpleNamespace) -> None:
        for engine in exported.engines.values():
            assert engine.probabilities([]).shape == (0, len(CLASSES))

    def test_threads_get_the_answers_of_a_single_thread(self, exported: SimpleNamespace, texts: list[str]) -> None:
        requests = [[text] for text in texts[:40]]
        for engine in exported.engines.values():
            alone = [engine.probabilities(request) for request in requests]
            with ThreadPoolExecutor(4) as pool:
                together = list(pool.map(engine.probabilities, requests * 2))
            for index, probabilities in enumerate(together):
                np.testing.assert_allclose(probabilities, alone[index % len(requests)], atol=1e-6)

    def test_a_saved_engine_is_the_whole_model(self, component: Any, exported: SimpleNamespace, tmp_path: Path) -> None:
        texts = ["ship wave", "bread oven", ""]
        for name, engine in exported.engines.items():
            engine.save(tmp_path / name)
            model: Classifier = type(component)().load(tmp_path / name)
            np.testing.assert_array_equal(model.probabilities(texts), exported.model.probabilities(texts))
            loaded = type(component)().load_engine(tmp_path / name, name)
            np.testing.assert_array_equal(loaded.probabilities(texts), engine.probabilities(texts))

    def test_an_unknown_engine_is_a_bundle_error(self, component: Any, exported: SimpleNamespace) -> None:
        with pytest.raises(BundleError, match="no-such"):
            type(component)().load_engine(exported.folder, "no-such")
