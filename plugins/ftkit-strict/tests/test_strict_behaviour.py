"""Behaviour on changed texts: which changes are made, and classifiers that depend on the wrong thing fail."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ftkit_strict.direction import Direction
from ftkit_strict.examples import Examples
from ftkit_strict.invariance import Invariance
from ftkit_strict.perturbations import KINDS, perturb

from ftkit.errors import DataError
from ftkit.events import Event
from ftkit.testing.toys import ToyReviews, ToyWords

TEXTS = [f"The kettle number {row} works Well and James is not unhappy with it." for row in range(40, 80)]


def quiet(event: Event) -> None:
    """Ignore the event."""


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("lower case", "Good LAMP", "good lamp"),
        ("upper case", "Good lamp", "GOOD LAMP"),
        ("lower case", "good", None),
        ("punctuation", "Good lamp!", "Good lamp"),
        ("punctuation", "Good lamp", "Good lamp."),
        ("punctuation", "...", None),
        ("contractions", "It isn't good", "It is not good"),
        ("contractions", "It isn’t good", "It is not good"),
        ("contractions", "Cannot say", "Can't say"),
        ("contractions", "It is mine", "It's mine"),
        ("contractions", "a lamp", None),
        ("numbers", "5 stars, 10/10, 50% off, $30, 4.25 or 90 stars", None),
        ("names", "a lamp", None),
        ("typos", "a bad one", None),
    ],
)
def test_each_kind_of_change_does_what_its_name_says(kind: Any, before: str, after: str | None) -> None:
    assert perturb(kind, before, "7 0") == after


def test_a_typo_swaps_two_inner_letters_of_one_word() -> None:
    for seed in map(str, range(20)):
        after = perturb("typos", "sturdy lamp", seed)
        assert after is not None
        places = [at for at, (one, other) in enumerate(zip("sturdy lamp", after, strict=True)) if one != other]
        assert len(places) == 2
        assert places[1] == places[0] + 1
        assert not {0, 5, 6, 7, 10} & set(places)


def test_names_and_numbers_are_replaced_by_others_of_their_kind() -> None:
    after = perturb("names", "James and Mary, and James", "1")
    assert after is not None
    first, _, second, _, third = after.replace(",", "").split()
    assert first == third
    assert "James" not in after
    assert second != "Mary"
    for seed in map(str, range(30)):
        number = perturb("numbers", "bought 99 of them", seed)
        assert number is not None
        assert 10 <= int(number.split()[1]) < 99


def test_the_same_seed_gives_the_same_change() -> None:
    for kind in KINDS:
        assert perturb(kind, TEXTS[0], "7 0") == perturb(kind, TEXTS[0], "7 0")
    assert len({perturb("typos", TEXTS[0], str(seed)) for seed in range(30)}) > 5


def test_a_classifier_that_depends_on_one_word_only_is_invariant(bench: Any) -> None:
    one = bench.ruled(lambda text: 0.9 if "unhappy" in text.casefold() else 0.1, TEXTS)
    verdict = Invariance(kinds=("lower case", "upper case", "punctuation", "names", "numbers", "added sentence")).check(
        one, None
    )
    assert verdict.status == "passed"
    assert verdict.numbers["names: share"] == 0
    assert verdict.numbers["names: rows"] == 40


def test_a_classifier_that_depends_on_case_fails(bench: Any) -> None:
    one = bench.ruled(lambda text: 0.9 if "Well" in text else 0.1, TEXTS)
    verdict = Invariance().check(one, None)
    assert verdict.status == "failed"
    assert verdict.numbers["upper case: share"] == verdict.numbers["lower case: share"] == 1
    assert verdict.numbers["punctuation: share"] == verdict.numbers["names: share"] == 0
    assert "works well" in verdict.sentence
    allowed = Invariance(limits={"upper case": 1.0, "lower case": 1.0})
    assert allowed.check(one, None).status == "passed"


def test_a_classifier_that_depends_on_the_last_mark_fails_by_punctuation_alone(bench: Any) -> None:
    one = bench.ruled(lambda text: 0.9 if text.endswith(".") else 0.1, TEXTS)
    verdict = Invariance().check(one, None)
    assert {kind for kind in KINDS if verdict.numbers[f"{kind}: share"] > 0.1} == {"punctuation"}


def test_kinds_that_apply_to_few_rows_are_shown_but_not_judged(bench: Any) -> None:
    texts = [*(f"a lamp {row}" for row in "abcdefghijklmnopqrstuvwxyz"), "James"]
    one = bench.ruled(lambda text: 0.9 if "James" in text else 0.1, texts)
    verdict = Invariance(kinds=("names", "punctuation")).check(one, None)
    assert verdict.status == "passed"
    assert verdict.numbers["names: share"] == 1
    assert Invariance(kinds=("names",)).check(one, None).status == "not applicable"
    assert Invariance(kinds=("names",), min_rows=1).check(one, None).status == "failed"


def test_probabilities_that_are_not_finite_on_changed_texts_fail(bench: Any) -> None:
    one = bench.ruled(lambda text: math.nan if text.isupper() else 0.9, TEXTS)
    verdict = Invariance(max_share=1.0).check(one, None)
    assert verdict.status == "failed"
    assert "40 changed texts with probabilities that are not finite numbers, the first is row" in verdict.sentence


def test_the_seed_draws_the_rows(bench: Any) -> None:
    one = bench.ruled(lambda text: 0.9 if sum(map(ord, text)) % 2 else 0.1, TEXTS)
    test = Invariance(rows=20)
    assert test.check(one, None) == test.check(one, None)
    assert test.check(replace(one, seed=8), None).numbers != test.check(one, None).numbers


def test_odd_texts_and_no_texts_get_a_verdict(bench: Any, odd_texts: list[str]) -> None:
    for texts in (odd_texts, [], [""]):
        one = bench.ruled(lambda text: 0.9 if len(text) % 2 else 0.1, texts)
        for test in (Invariance(min_rows=1, max_share=0.0), Direction(max_share=0.0, tolerance=0.0)):
            verdict = test.check(one, None)
            verdict.sentence.encode()
            assert "\n" not in verdict.sentence


def moved_by(praise: float, blame: float) -> Any:
    """A classifier of 0.5 that words move."""
    return lambda text: 0.5 + praise * ("love" in text) - blame * ("hate" in text)


PHRASES = {"praise": ("I love it.",), "blame": ("I hate it.",)}


def test_praise_and_blame_that_move_the_right_way_pass(bench: Any) -> None:
    verdict = Direction(**PHRASES).check(bench.ruled(moved_by(0.2, 0.3), TEXTS), None)
    assert verdict.status == "passed"
    assert verdict.numbers["praise: mean"] == pytest.approx(0.2)
    assert verdict.numbers["blame: mean"] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("praise", "blame", "culprit"), [(-0.2, 0.2, "praise"), (0.2, -0.2, "blame"), (0.0, 0.2, "praise")]
)
def test_a_model_that_moves_the_wrong_way_or_not_at_all_fails(
    bench: Any, praise: float, blame: float, culprit: str
) -> None:
    verdict = Direction(**PHRASES).check(bench.ruled(moved_by(praise, blame), TEXTS), None)
    assert verdict.status == "failed"
    assert f"{culprit} does not raise" in verdict.sentence


def test_single_rows_may_move_the_wrong_way_up_to_a_share(bench: Any) -> None:
    def answer(text: str) -> float:
        return 0.5 + ("love" in text) * (-0.3 if "number 4" in text else 0.3)

    one = bench.ruled(answer, TEXTS)  # ten of forty rows
    test = Direction(praise=("I love it.",), blame=())
    verdict = test.check(one, None)
    assert verdict.status == "failed"
    assert verdict.numbers["praise: wrong"] == 0.25
    assert replace(test, max_share=0.25).check(one, None).status == "passed"
    assert replace(test, tolerance=0.4).check(one, None).status == "passed"


def test_other_classes_are_judged_only_when_named(bench: Any) -> None:
    bench.classes = ("sport", "tech")
    one = bench.ruled(lambda text: 0.9 if "chip" in text else 0.1, TEXTS)
    assert Direction().check(one, None).status == "not applicable"
    named = Direction(positive="tech", praise=("A new chip.",), negative="sport", blame=())
    assert named.check(one, None).status == "passed"
    with pytest.raises(DataError, match="no class 'teck'"):
        Direction(positive="teck").check(one, None)


def test_a_model_trained_on_reviews_is_moved_by_the_words_it_has_learnt() -> None:
    from ftkit.contracts import Contender

    data = ToyReviews(rows=300).load(7, quiet)
    model = ToyWords(epochs=5).fit(data.without_test(), 7, lambda epoch, probabilities, **numbers: True)
    one = Contender("the candidate", Path(), model, model.probabilities(data.test.texts), data, "accuracy", 7)
    options = {"positive": "good", "negative": "bad", "place": "end"}
    assert Direction(**options, praise=("sturdy bright",), blame=("broke refund",)).check(one, None).status == "passed"
    assert Direction(**options, praise=("broke refund",), blame=("sturdy bright",)).check(one, None).status == "failed"
    assert Invariance(kinds=("added sentence",), sentences=("and",), max_share=0.2).check(one, None).status == "passed"
    sentences = ("broke refund useless cracked broke refund useless cracked late rattles",)
    assert Invariance(kinds=("added sentence",), sentences=sentences).check(one, None).status == "failed"


def examples(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def test_answers_are_compared_with_the_table_of_examples(bench: Any, tmp_path: Path) -> None:
    one = bench.ruled(lambda text: 0.9 if "good" in text else 0.1, ["x"])
    path = examples(
        tmp_path, "a.csv", '\ufefftext,label\n"good, really",positive\n"two\nlines",negative\nsad,positive\n'
    )
    verdict = Examples(path=path).check(one, None)
    assert verdict.status == "failed"
    assert verdict.numbers["right"] == 2
    assert "line 5 “sad” is positive, answered negative" in verdict.sentence
    assert Examples(path=path, min_share=2 / 3).check(one, None).status == "passed"
    lines = "\n".join(json.dumps({"t": text, "l": "positive"}) for text in ("good", "so good \ud800"))
    path = examples(tmp_path, "b.jsonl", f"{lines}\n\n")
    assert Examples(path=path, text="t", label="l").check(one, None).status == "passed"


@pytest.mark.parametrize(
    ("name", "content", "where", "word"),
    [
        ("a.csv", "text,label\ngood,positive\nbad,awful\n", ":3", "'awful' is no class"),
        ("a.csv", "text,class\ngood,positive\n", ":1", "no column 'label'"),
        ("a.csv", "text,label\ngood, really,positive\n", ":2", "3 columns"),
        ("a.csv", 'text,label\n"good,positive\n', ":2", "cannot be read"),
        ("a.csv", "text,label\n", "a.csv", "no examples"),
        ("a.csv", "", ":1", "no column"),
        ("a.csv", b"text,label\n\xff,positive\n", "a.csv", "UTF-8"),
        ("a.jsonl", '{"text": "x", "label": "positive"}\n{"text": ', ":2", "no JSON"),
        ("a.jsonl", "[1]", ":1", "no JSON object"),
        ("a.jsonl", '{"text": 5, "label": "positive"}', ":1", "strings"),
    ],
)
def test_the_error_about_an_unusable_table_names_the_place(
    bench: Any, tmp_path: Path, name: str, content: str | bytes, where: str, word: str
) -> None:
    with pytest.raises(DataError, match=word) as error:
        Examples(path=examples(tmp_path, name, content)).check(bench.ruled(lambda text: 0.9, ["x"]), None)
    assert error.value.where.endswith(where)
    assert error.value.hint


def test_labels_that_are_no_classes_are_an_error_before_training(bench: Any, tmp_path: Path) -> None:
    rows = "good,positive\nbad,negativ\nso so,meh\nbad too,negativ\n"
    path = examples(tmp_path, "a.csv", f"text,label\n{rows}")
    with pytest.raises(DataError) as error:
        Examples(path=path).foresee(bench.data([], []))
    assert error.value.what == "the label 'negativ' is no class of the data set; nor is 'meh' in line 4"
    assert error.value.where == f"{path}:3"
    assert error.value.hint == "Did you mean 'negative'? The classes are negative, positive."
    Examples(path=examples(tmp_path, "b.csv", "text,label\ngood,positive\n")).foresee(bench.data([], []))
    with pytest.raises(DataError, match="cannot be read"):
        Examples(path=tmp_path / "none.csv").foresee(bench.data([], []))


def test_an_unknown_class_is_an_error_before_training(bench: Any) -> None:
    Direction().foresee(bench.data([], []))
    with pytest.raises(DataError, match="no class 'worse'"):
        Direction(negative="worse").foresee(bench.data([], []))


def test_a_missing_table_is_an_error(bench: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        Examples(path=tmp_path / "none.csv").check(bench.ruled(lambda text: 0.9, ["x"]), None)


@pytest.mark.parametrize(
    ("component", "options", "word"),
    [
        (Invariance, {"kinds": ()}, "kinds is empty"),
        (Invariance, {"kinds": ("typos",), "limits": {"names": 0.1}}, "limits names 'names'"),
        (Invariance, {"limits": {"names": 2.0}}, "limits.names"),
        (Invariance, {"sentences": (" ",)}, "sentences"),
        (Invariance, {"max_share": -0.1}, "max_share"),
        (Direction, {"praise": (), "blame": ()}, "both empty"),
        (Direction, {"praise": ("",)}, "empty phrase"),
        (Direction, {"positive": "a", "negative": "a"}, "different"),
        (Examples, {"path": Path("a.txt")}, "csv or .jsonl"),
        (Examples, {"path": Path("a.csv"), "text": "label"}, "another column"),
    ],
)
def test_impossible_options_are_refused(component: Any, options: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        component(**options)
