"""What every backbone must do, as tests to inherit: it learns, repeats itself by seed, and comes back from disk the same.

    class TestModernBert(BackboneSuite):
        @pytest.fixture(scope="class")
        def component(self, tmp_path_factory):
            return ModernBert(checkpoint=str(tiny_bert(tmp_path_factory.mktemp("tiny"))), epochs=4, learning_rate=3e-3)

The component should be small, evaluate at least twice, and be able to tell three sets of words apart.
"""

from __future__ import annotations

import dataclasses
import os
import pickle
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import pytest

from ftkit import files
from ftkit.contracts import Backbone, Classifier, Data, DataReport, Split, StopTrial

CLASSES = ("at sea", "Küche", "music & sound")

WORDS = (
    ("ship", "wave", "harbour", "sail", "captain", "storm", "island", "anchor"),
    ("bread", "oven", "butter", "sugar", "plate", "cheese", "dinner", "spoon"),
    ("guitar", "song", "piano", "concert", "singer", "drum", "album", "melody"),
)
"""Words that only texts of one class hold."""

COMMON = ("the", "a", "and", "with", "was", "very", "old", "new", "it", "they", "all", "one")
"""Words that texts of every class hold."""

ODD_TEXTS = (
    "", " ", "\n\t", "\ud83d", "half \udc00 a pair", "\x00\x01\x02", "🎸🎹", "ø" * 50, "word " * 3000, "x" * 20_000,
    "[CLS] [SEP] [PAD] [MASK]", "<s></s>", "\u202eright to left", "é\u0301",
)  # fmt: skip


def separable(rows: int, seed: int) -> Split:
    """Texts of which a few words give the class away, classes in equal numbers."""
    chance = random.Random(seed)
    texts, labels = [], []
    for index in range(rows):
        label = index % len(CLASSES)
        words = chance.choices(WORDS[label], k=4) + chance.choices(COMMON, k=chance.randint(2, 8))
        chance.shuffle(words)
        texts.append(" ".join(words))
        labels.append(label)
    return Split(tuple(texts), tuple(labels))


class Sealed(Sequence[Any]):
    """The test split as training finds it: whoever looks is caught."""

    def __len__(self) -> NoReturn:
        pytest.fail("training looked at the test split")

    def __getitem__(self, index: Any) -> NoReturn:
        pytest.fail("training looked at the test split")

    def __iter__(self) -> Iterator[Any]:
        pytest.fail("training looked at the test split")


def separable_data(rows: int = 96, cache: Path | None = None) -> Data:
    """A data set that any classifier learns, its test split sealed."""
    report = DataReport("made up", rows, {}, {}, {}, "separable")
    return Data(CLASSES, separable(rows, 1), separable(24, 2), Split(Sealed(), Sealed()), report, cache)


def tiny_bert(folder: Path, vocabulary: Sequence[str] | None = None, *, width: int = 32, layers: int = 2) -> Path:
    """Write a BERT checkpoint with random weights, small enough to train in a second, and return its folder.

    `vocabulary` is that of a WordPiece tokenizer; left out, it holds the words of this module and single letters.
    """
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    if vocabulary is None:
        letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
        words = [*COMMON, *(word for group in WORDS for word in group)]
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        vocabulary = list(dict.fromkeys([*special, *words, *letters, *(f"##{letter}" for letter in letters)]))
    tokenizer = BertTokenizer(
        vocab={word: index for index, word in enumerate(vocabulary)}, do_lower_case=False, model_max_length=128
    )
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * width,
        max_position_embeddings=128,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class BackboneSuite:
    """Inherit it and give the fixture `component`; `tolerance` is what training's number format may change."""

    tolerance = 0.05

    @pytest.fixture(scope="class")
    def component(self) -> Backbone:
        """The backbone under test, small and quick to train."""
        raise NotImplementedError("override the fixture `component`")

    @pytest.fixture(scope="class")
    def fitted(self, component: Backbone, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
        """One training of which the first evaluation was called the best: its reports, and its classifier, saved."""
        reports: list[tuple[int, np.ndarray, dict[str, float]]] = []

        def report(epoch: int, probabilities: np.ndarray, **numbers: float) -> bool:
            reports.append((epoch, probabilities, numbers))
            return len(reports) == 1

        cache = tmp_path_factory.mktemp("cache")
        data = separable_data(cache=cache)
        classifier = component.fit(data, 3, report)
        folder = tmp_path_factory.mktemp("model")
        classifier.save(folder)
        return SimpleNamespace(reports=reports, classifier=classifier, folder=folder, data=data)

    @pytest.fixture(scope="class")
    def loaded(self, component: Backbone, fitted: SimpleNamespace) -> Classifier:
        return type(component)().load(fitted.folder)

    def test_component_is_a_frozen_value_that_survives_pickling(self, component: Backbone) -> None:
        assert isinstance(component, Backbone)
        assert isinstance(component.name, str)
        kind: Any = type(component)
        assert kind.__dataclass_params__.frozen
        assert pickle.loads(pickle.dumps(component)) == component  # noqa: S301  # our own bytes

    def test_importing_it_loads_neither_torch_nor_transformers(self, component: Any) -> None:
        module = type(component).__module__
        file = Path(sys.modules[module].__file__ or "")
        if file.name.startswith("test_"):
            pytest.skip("it is defined in a test")
        depth = module.count(".") + (file.name == "__init__.py")
        path = os.pathsep.join([str(file.parents[depth]), *filter(None, [os.environ.get("PYTHONPATH")])])
        code = f"import sys, {module}; print([name for name in ('torch', 'transformers') if name in sys.modules])"
        done = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.PIPE, text=True
        )
        assert done.returncode == 0
        assert done.stdout.strip() == "[]"

    def test_every_option_says_what_it_is_for(self, component: Any) -> None:
        assert (type(component).__doc__ or "").strip()
        assert not (type(component).__doc__ or "").startswith(f"{type(component).__name__}(")

    def test_learns_what_can_be_learned(self, fitted: SimpleNamespace) -> None:
        found = fitted.reports[-1][1].argmax(axis=1)
        assert (found == np.asarray(fitted.data.valid.labels)).mean() >= 0.9

    def test_reports_every_evaluation_with_probabilities_of_the_validation_rows(self, fitted: SimpleNamespace) -> None:
        epochs = [epoch for epoch, _, _ in fitted.reports]
        assert epochs[0] == 1
        assert len(epochs) >= 2
        assert epochs == sorted(set(epochs))
        for _, probabilities, numbers in fitted.reports:
            assert probabilities.shape == (len(fitted.data.valid), len(CLASSES))
            assert probabilities.min() >= 0
            np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
            assert all(isinstance(number, float) and np.isfinite(number) for number in numbers.values())

    def test_returns_the_weights_of_the_evaluation_called_best(self, fitted: SimpleNamespace) -> None:
        found = fitted.classifier.probabilities(fitted.data.valid.texts)
        first, last = fitted.reports[0][1], fitted.reports[-1][1]
        np.testing.assert_allclose(found, first, atol=self.tolerance)
        assert np.abs(found - last).mean() > np.abs(found - first).mean()

    def test_the_same_seed_gives_the_same_files_with_and_without_a_cache(
        self, component: Backbone, fitted: SimpleNamespace, tmp_path: Path
    ) -> None:
        evaluations: list[int] = []

        def report(epoch: int, probabilities: np.ndarray, **numbers: float) -> bool:
            evaluations.append(epoch)
            return len(evaluations) == 1

        component.fit(separable_data(), 3, report).save(tmp_path)
        assert _hashes(tmp_path) == _hashes(fitted.folder)

    def test_another_seed_trains_otherwise_and_a_stopped_trial_stops_at_once(
        self, component: Backbone, fitted: SimpleNamespace
    ) -> None:
        seen: list[np.ndarray] = []

        def report(epoch: int, probabilities: np.ndarray, **numbers: float) -> bool:
            seen.append(probabilities)
            raise StopTrial("enough")

        with pytest.raises(StopTrial, match="enough"):
            component.fit(fitted.data, 4, report)
        assert len(seen) == 1
        assert not np.allclose(seen[0], fitted.reports[0][1], atol=1e-6)

    def test_loaded_from_disk_it_answers_the_same(self, fitted: SimpleNamespace, loaded: Classifier) -> None:
        texts = [*fitted.data.valid.texts, *ODD_TEXTS]
        np.testing.assert_allclose(
            loaded.probabilities(texts), fitted.classifier.probabilities(texts), rtol=1e-5, atol=1e-6
        )

    def test_class_names_are_kept(self, fitted: SimpleNamespace, loaded: Classifier) -> None:
        assert tuple(fitted.classifier.classes) == CLASSES
        assert tuple(loaded.classes) == CLASSES

    def test_saved_files_cannot_run_code(self, fitted: SimpleNamespace) -> None:
        saved = [path for path in fitted.folder.rglob("*") if path.is_file()]
        assert any(path.suffix == ".safetensors" for path in saved)
        for path in saved:
            assert path.suffix in {".safetensors", ".json", ".txt", ".model", ".md"}, path.name
            start = path.read_bytes()[:4]
            assert not start.startswith((b"\x80", b"PK\x03\x04")), f"{path.name} looks like a pickle"

    def test_any_text_is_answered(self, loaded: Classifier) -> None:
        found = loaded.probabilities(list(ODD_TEXTS))
        assert found.shape == (len(ODD_TEXTS), len(CLASSES))
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)

    def test_no_text_gives_no_row(self, loaded: Classifier) -> None:
        assert loaded.probabilities([]).shape == (0, len(CLASSES))

    def test_answers_come_in_the_order_of_the_texts(self, fitted: SimpleNamespace, loaded: Classifier) -> None:
        texts = [*fitted.data.valid.texts, *ODD_TEXTS]
        together = loaded.probabilities(texts)
        backwards = loaded.probabilities(texts[::-1])[::-1]
        alone = np.concatenate([loaded.probabilities([text]) for text in texts])
        np.testing.assert_allclose(backwards, together, atol=self.tolerance / 10)
        np.testing.assert_allclose(alone, together, atol=self.tolerance / 10)

    def test_another_value_of_an_option_is_another_component(self, component: Any) -> None:
        field = next(each for each in dataclasses.fields(component) if isinstance(getattr(component, each.name), int))
        other = dataclasses.replace(component, **{field.name: getattr(component, field.name)})
        assert other == component
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(component, field.name, 7)


def _hashes(folder: Path) -> dict[str, str]:
    return {path.name: files.sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}
