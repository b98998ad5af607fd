"""The promotion tests on real encoders and real data: each passes a sound model or data set and fails a bad one."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from ftkit_strict.agreement import Agreement
from ftkit_strict.calibration import Calibration
from ftkit_strict.champion import NoWorseThanChampion
from ftkit_strict.degenerate import NotDegenerate
from ftkit_strict.direction import Direction
from ftkit_strict.examples import Examples
from ftkit_strict.invariance import Invariance
from ftkit_strict.label_noise import LabelNoise
from ftkit_strict.leakage import Leakage
from ftkit_strict.slices import Slices

from ftkit.contracts import Classifier, Contender, Data, DataReport, PromotionTest, Split
from ftkit.encoders import Encoder
from ftkit.testing.backbones import tiny_bert

GOOD = (
    "excellent",
    "wonderful",
    "great",
    "reliable",
    "superb",
    "delightful",
    "brilliant",
    "sturdy",
    "perfect",
    "lovely",
)
BAD = (
    "terrible",
    "awful",
    "useless",
    "faulty",
    "dreadful",
    "broken",
    "horrible",
    "flimsy",
    "disappointing",
    "worthless",
)
THINGS = ("lamp", "kettle", "guitar", "chair", "radio", "blender", "tent", "clock", "camera", "bicycle")
SENTENCES = (
    "The {thing} from {shop} is {word}.",
    "My {thing} that came from {shop} turned out {word}.",
    "I bought this {thing} at {shop} and find it {word}.",
    "{shop} sent me a {thing}, and what a {word} thing it is!",
)
CLASSES = ("negative", "positive")
NOISE = 0.12
"""Share of wrong labels: a model can be only as certain as this leaves it."""


def reviews(rows: int, seed: int, noise: float = NOISE, inflated: str = "") -> Split:
    """Short reviews of two shops; `inflated` names a shop whose reviews are all labelled positive."""
    generator = random.Random(seed)
    texts, labels, shops = [], [], []
    for _ in range(rows):
        label, shop = generator.randrange(2), generator.choices(("Amble", "Bolt"), (3, 2))[0]
        word, thing = generator.choice((BAD, GOOD)[label]), generator.choice(THINGS)
        texts.append(generator.choice(SENTENCES).format(thing=thing, shop=shop, word=word))
        wrong = generator.random() < noise
        labels.append(1 if shop == inflated else (label + wrong) % 2)
        shops.append(shop)
    return Split(texts, labels, {"shop": shops})


def dataset(test: Split, inflated: str = "", train: Split | None = None) -> Data:
    train_split = train if train is not None else reviews(280, 1, inflated=inflated)
    return Data(
        CLASSES, train_split, reviews(60, 2, inflated=inflated), test, DataReport("made up", 0, {}, {}, {}, "ab" * 32)
    )


TEST = reviews(200, 3)


def fitted(encoder: Encoder, data: Data) -> Classifier:
    return encoder.fit(data.without_test(), 7, lambda *_, **__: True)


def contender(classifier: Any, test: Split = TEST, title: str = "the candidate") -> Contender:
    """A contender scored on these rows, as the gate would."""
    probabilities = classifier.probabilities(test.texts)
    return Contender(title, Path(), classifier, probabilities, dataset(test), "accuracy", 7)


@dataclass(frozen=True)
class Models:
    """Fine-tuned encoders: a sound one and some that went wrong."""

    sound: Any
    """Trained on reviews some of which are labelled wrongly, as in all data."""
    partial: Any
    """Trained on reviews that are all labelled positive for one shop."""

    def sure(self) -> Any:
        """The sound one, ten times as certain of every answer."""
        changed = copy.copy(self.sound)
        changed.temperature = self.sound.temperature / 10
        return changed

    def swapped(self) -> Any:
        """The sound one with its two classes confused."""

        def swap(layer: Any) -> None:
            layer.weight.data = layer.weight.data.flip(0)
            layer.bias.data = layer.bias.data.flip(0)

        return self.weights(swap)

    def weights(self, change: Callable[[Any], None]) -> Any:
        """The sound one with its last layer changed."""
        changed = copy.copy(self.sound)
        changed.model = copy.deepcopy(self.sound.model)
        change(changed.model.classifier)
        return changed


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)  # tests may run side by side
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def models() -> Models:
    quickstart = pytest.importorskip("ftkit_quickstart", reason="the real encoder comes with ftkit-quickstart")
    minilm = quickstart.MiniLM(epochs=2, batch_size=16, max_length=32, learning_rate=3e-4, offline=True)
    data = dataset(TEST)
    return Models(sound=fitted(minilm, data), partial=fitted(minilm, dataset(TEST, "Bolt")))


@pytest.fixture(scope="module")
def good(models: Models) -> Contender:
    """The sound model, scored once for all tests."""
    return contender(models.sound, title="champion version 1")


@pytest.fixture(scope="module")
def partial(models: Models) -> Contender:
    """The model that is wrong about one shop, scored once for all tests."""
    return contender(models.partial)


def status(test: PromotionTest, one: Contender, other: Contender | None = None) -> str:
    verdict = test.check(one, other)
    print(verdict.status, verdict.sentence)
    return verdict.status


def test_a_model_that_is_wrong_about_one_shop_fails_on_that_slice(good: Contender, partial: Contender) -> None:
    assert status(Slices(floor=0.6), good) == "passed"
    shops = Slices(columns=("shop",), classes=False, lengths=0)
    below, worse = replace(shops, floor=0.6).check(partial, None), shops.check(partial, good)
    assert (below.status, worse.status) == ("failed", "failed")
    assert "shop Amble" not in below.sentence
    assert "shop Bolt" in below.sentence
    assert "shop Bolt" in worse.sentence
    assert status(Slices(), replace(good, title="the candidate"), good) == "passed"


def test_a_model_worse_than_the_champion_fails(good: Contender, partial: Contender) -> None:
    assert status(NoWorseThanChampion(), partial, good) == "failed"
    assert status(NoWorseThanChampion(mode="superior"), good, partial) == "passed"
    assert status(NoWorseThanChampion(), replace(good, title="the candidate"), good) == "passed"
    assert status(Agreement(at_least=0.9), partial, good) == "failed"
    assert status(Agreement(at_least=0.9), replace(good, title="the candidate"), good) == "passed"


def test_a_model_that_is_too_sure_fails_where_one_with_the_same_answers_passes(models: Models) -> None:
    rows = reviews(200, 5, noise=0.18)
    sound, sure = contender(models.sound, rows), contender(models.sure(), rows)
    assert (sound.probabilities.argmax(axis=1) == sure.probabilities.argmax(axis=1)).all()
    assert status(Calibration(), sound) == "passed"
    assert status(Calibration(), sure) == "failed"


def test_praise_and_blame_move_a_sound_model_and_not_one_that_confuses_its_classes(
    models: Models, good: Contender
) -> None:
    assert status(Direction(rows=40), good) == "passed"
    assert status(Direction(rows=40), contender(models.swapped())) == "failed"


def test_examples_are_answered_by_a_sound_model_and_not_by_one_that_confuses_its_classes(
    models: Models, good: Contender, tmp_path: Path
) -> None:
    path = tmp_path / "examples.csv"
    path.write_text('text,label\n"A wonderful, reliable clock.",positive\nThis tent is useless and broken.,negative\n')
    assert status(Examples(path=path), good) == "passed"
    assert status(Examples(path=path), contender(models.swapped())) == "failed"


def test_wrong_labels_of_the_test_split_are_suspect_and_right_ones_are_not(models: Models) -> None:
    clean, noisy = reviews(200, 4, noise=0.0), reviews(200, 4, noise=0.15)
    test = LabelNoise(max_share=0.05)
    assert status(test, contender(models.sound, clean)) == "passed"
    verdict = test.check(contender(models.sound, noisy), None)
    assert verdict.status == "failed"
    wrong = {row + 1 for row in range(200) if clean.labels[row] != noisy.labels[row]}
    suspect = {int(value) for name, value in verdict.numbers.items() if name.startswith("suspect ")}
    assert len(suspect & wrong) >= 0.9 * len(suspect)


def test_an_encoder_with_one_answer_or_with_nan_is_degenerate(models: Models, good: Contender) -> None:
    def lean(layer: Any) -> None:
        layer.bias[1] += 1000

    def spoil(layer: Any) -> None:
        layer.weight[0, 0] = float("nan")

    assert status(NotDegenerate(), good) == "passed"
    always, broken = (NotDegenerate().check(contender(models.weights(change)), None) for change in (lean, spoil))
    assert (always.status, broken.status) == ("failed", "failed")
    assert "every row is answered 'positive'" in always.sentence
    assert "probabilities that are not finite numbers" in broken.sentence


@dataclass(frozen=True, kw_only=True)
class Cased(Encoder):
    """A tiny encoder that distinguishes case and knows words in lower case only."""

    name = "cased"


@pytest.fixture(scope="module")
def cased(tmp_path_factory: pytest.TempPathFactory) -> Any:
    words = {word.lower() for text in (*TEST.texts, *reviews(280, 1).texts) for word in text.replace(",", "").split()}
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", "!"]
    vocabulary = [*special, *sorted({word.rstrip(".!") for word in words})]
    folder = tiny_bert(tmp_path_factory.mktemp("cased") / "checkpoint", vocabulary)
    encoder = Cased(checkpoint=str(folder), learning_rate=3e-3, epochs=6, batch_size=8, max_length=32, precision="fp32")
    train = reviews(280, 1, noise=0.0)
    return fitted(encoder, dataset(TEST, train=replace(train, texts=[text.lower() for text in train.texts])))


def test_a_model_that_reacts_to_upper_case_fails_where_an_uncased_one_passes(good: Contender, cased: Any) -> None:
    kinds = ("upper case", "lower case", "punctuation")
    rows = replace(TEST, texts=[text.lower() for text in TEST.texts])
    verdict = Invariance(kinds=kinds, rows=60).check(contender(cased, rows), None)
    assert verdict.status == "failed"
    assert verdict.numbers["upper case: share"] > 0.3
    assert verdict.numbers["punctuation: share"] <= 0.1
    sound = Invariance(kinds=kinds, rows=60).check(good, None)
    assert sound.status == "passed"
    assert sound.numbers["upper case: share"] == 0


def test_a_real_data_set_leaks_unless_its_near_copies_are_kept_together() -> None:
    quickstart = pytest.importorskip("ftkit_quickstart", reason="BBC News comes with ftkit-quickstart")
    for near_copies, expected in (("ignored", "failed"), ("together", "passed")):
        data = quickstart.BbcNews(near_copies=near_copies).load(7, lambda _: None)
        rows = len(data.test)
        test = replace(
            contender(Uniform(data.classes), TEST), data=data, probabilities=Uniform(data.classes).rows(rows)
        )
        verdict = Leakage().check(test, None)
        assert verdict.status == expected
        assert (verdict.numbers["share"] == 0) == (expected == "passed")


class Uniform:
    """Gives every text the same probability for every class."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes

    def rows(self, count: int) -> Any:
        import numpy as np

        return np.full((count, len(self.classes)), 1 / len(self.classes))

    def probabilities(self, texts: Any) -> Any:
        return self.rows(len(texts))


def test_praise_and_blame_do_not_apply_to_topics_and_changes_of_form_do() -> None:
    quickstart = pytest.importorskip("ftkit_quickstart", reason="BBC News comes with ftkit-quickstart")
    data = quickstart.BbcNews(rows=60).load(7, lambda _: None)
    blank = Uniform(data.classes)
    one = Contender("the candidate", Path(), blank, blank.rows(len(data.test)), data, "macro_f1", 7)
    verdict = Direction().check(one, None)
    assert verdict.status == "not applicable"
    assert "business, entertainment, politics, sports, tech" in verdict.sentence
    assert Invariance(min_rows=1).check(one, None).status == "passed"
