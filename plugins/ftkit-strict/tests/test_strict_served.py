"""Tests of the served model over real HTTP: sound models pass, and models built to misbehave fail."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ftkit_strict.budget import Budget
from ftkit_strict.odd_input import OddInput
from ftkit_strict.odd_input_cases import broken_requests, odd_texts
from ftkit_strict.served_answers import InvalidAnswer, read_scores, texts_that_fit
from ftkit_strict.served_parity import ServedParity

from ftkit.contracts import AnswerRule, Contender, Split, Verdict
from ftkit.errors import PluginError
from ftkit.serving import server
from ftkit.serving.limits import Limits
from ftkit.serving.server_process import Answer, SharedServer

Make = Any


class TestOddInput:
    def test_a_sound_model_copes_with_everything(self, sound: Contender) -> None:
        verdict = OddInput(texts=("my own",)).check(sound, None)
        assert verdict.status == "passed", verdict.sentence
        assert verdict.numbers["texts"] == verdict.numbers["answered"] == len(odd_texts(10)) + 1
        assert verdict.numbers["broken_requests"] == len(broken_requests(Limits())) > 15
        assert verdict.numbers["faults"] == verdict.numbers["crashes"] == 0

    def test_every_kind_of_invalid_answer_is_named_with_its_text(self, workshop: Make) -> None:
        faults = {"😀": "nan", "שבוע": "raise", "<script>": "double"}
        verdict = OddInput(long=1000).check(workshop.contender("unsound", on=faults), None)
        assert verdict.status == "failed"
        assert "emoji: probabilities that are not finite numbers" in verdict.sentence
        assert "right to left: refused with 500: the server failed on this request: RuntimeError" in verdict.sentence
        assert "HTML: probabilities that do not add up to one, but to 2" in verdict.sentence
        assert verdict.numbers["crashes"] == 0
        assert verdict.numbers["answered"] == len(odd_texts(10)) - 3

    def test_a_text_that_kills_the_server_is_named_and_the_others_go_to_a_new_server(self, workshop: Make) -> None:
        verdict = OddInput(long=1000).check(workshop.contender("mortal", on={"NUL": "die", "😀": "die"}), None)
        assert verdict.status == "failed"
        assert "emoji: its server process was killed by SIGKILL" in verdict.sentence
        assert "\n" not in verdict.sentence
        assert verdict.numbers["crashes"] == 1
        assert verdict.numbers["answered"] == len(odd_texts(10)) - 1

    def test_after_three_crashes_nothing_more_is_sent(self, workshop: Make) -> None:
        verdict = OddInput(texts=("boom 1", "boom 2", "boom 3"), long=1000).check(
            workshop.contender("dying", on={"boom": "die"}), None
        )
        assert verdict.status == "failed"
        assert "nothing more was sent" in verdict.sentence
        assert verdict.numbers["crashes"] == 3

    def test_a_model_whose_answer_depends_on_the_other_texts_fails(self, workshop: Make) -> None:
        verdict = OddInput(long=1000).check(workshop.contender("company", company=0.3), None)
        assert verdict.status == "failed"
        assert "another answer together than alone" in verdict.sentence
        assert verdict.numbers["max_difference"] > 0.01

    def test_a_server_that_an_odd_text_changes_for_good_fails(self, workshop: Make) -> None:
        verdict = OddInput(long=1000).check(workshop.contender("changed", on={"अच्छी": "remember"}), None)
        assert verdict.status == "failed"
        assert "the sample request gets another answer afterwards" in verdict.sentence

    def test_a_server_that_accepts_a_broken_request_fails(
        self, sound: Contender, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bodies = {**broken_requests(Limits()), "an empty but good request": b'{"data": []}'}
        monkeypatch.setattr("ftkit_strict.odd_input.broken_requests", lambda _: bodies)
        verdict = OddInput(long=1000).check(sound, None)
        assert verdict.status == "failed"
        assert "an empty but good request: this broken request gets status 200" in verdict.sentence

    def test_texts_that_do_not_fit_into_one_request_go_into_several(self, sound: Contender) -> None:
        big = tuple(f"{number} " + "😀" * 400_000 for number in range(2))  # each 4.8 MB as JSON would be too large
        assert texts_that_fit(big, Limits()) == 0
        longish = tuple(f"{number} " + "ä" * 250_000 for number in range(4))
        assert texts_that_fit(longish, Limits()) == 2
        verdict = OddInput(texts=longish, long=1000).check(sound, None)
        assert verdict.status == "passed", verdict.sentence

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"long": 0}, "long"),
            ({"long": 10**7}, "long"),
            ({"texts": ("x" * 600_000,)}, "text 1"),
            ({"tolerance": 2}, "tol"),
        ],
    )
    def test_impossible_options_are_refused(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            OddInput(**options)


class TestServedParity:
    def test_the_server_of_the_bundle_gives_the_gates_answers(self, sound: Contender) -> None:
        verdict = ServedParity().check(sound, None)
        assert verdict.status == "passed", verdict.sentence
        assert verdict.numbers["rows"] == min(80, len(sound.data.test))
        assert verdict.numbers["flipped"] == 0
        assert verdict.numbers["max_difference"] <= 1e-6
        assert verdict.figure is None

    def test_the_probabilities_that_the_gate_judged_are_compared(self, sound: Contender) -> None:
        row = int(np.argmax(sound.probabilities.max(axis=1)))
        gate_probabilities = sound.probabilities.copy()
        gate_probabilities[row] = gate_probabilities[row][::-1]
        verdict = ServedParity(rows=1000).check(replace(sound, probabilities=gate_probabilities), None)
        assert verdict.status == "failed"
        assert f"row {row + 1} " in verdict.sentence
        assert verdict.numbers["flipped"] == 1
        assert verdict.figure is not None

    def test_a_server_of_another_bundle_fails(self, sound: Contender, workshop: Make) -> None:
        other = workshop.contender("other", on={"no such word": "nan"})  # the same weights, other bytes
        verdict = ServedParity().check(replace(other, serving=sound.serving), None)
        assert verdict.status == "failed"
        assert "it comes from bundle" in verdict.sentence

    def test_a_model_that_gives_other_answers_in_a_batch_fails(self, workshop: Make) -> None:
        contender = workshop.contender("batch", company=0.2)
        verdict = ServedParity(sizes=(1,), rows=10).check(contender, None)  # the gate scored all rows at once
        assert verdict.status == "failed"
        assert verdict.numbers["max_difference"] > 0.01
        verdict = ServedParity(sizes=(5,), rows=10).check(contender, None)
        assert verdict.status == "passed", verdict.sentence

    def test_a_damaged_bundle_fails(self, sound: Contender, tmp_path: Path) -> None:
        damaged = shutil.copytree(sound.bundle, tmp_path / "bundle")
        (damaged / "model" / "weights.npy").write_bytes(b"")
        verdict = ServedParity().check(replace(sound, bundle=damaged, serving=None), None)
        assert verdict.status == "failed"
        assert "changed since it was written: model/weights.npy" in verdict.sentence

    def test_another_label_at_a_tie_is_no_fault(self, sound: Contender) -> None:
        tied = replace(sound.data, test=Split([""], [0]))  # no word, so both classes are as probable
        gate_probabilities = np.array([[0.5 - 1e-9, 0.5 + 1e-9]])
        verdict = ServedParity().check(replace(sound, data=tied, probabilities=gate_probabilities), None)
        assert verdict.status == "passed", verdict.sentence
        assert verdict.numbers["flipped"] == 1

    def test_every_engine_is_judged_by_its_own_tolerance(self, workshop: Make) -> None:
        engines = {"onnx": {"scale": 0.9999}, "rounded": {"scale": 0.97}}
        contender = workshop.contender("engines", engines=engines)
        verdict = ServedParity().check(contender, None)
        assert verdict.status == "passed", verdict.sentence
        assert verdict.numbers["engine onnx"] == verdict.numbers["engine rounded"] == 1
        assert 0 < verdict.numbers["onnx: max_difference"] < 1e-3 < verdict.numbers["rounded: max_difference"] < 0.05
        assert verdict.numbers["max_difference"] < 1e-6
        assert verdict.figure is not None and "rounded" in verdict.figure
        strict = ServedParity(engine_tolerances={"onnx": 1e-9}).check(contender, None)
        assert strict.status == "failed"
        assert strict.numbers["engine onnx"] == 0
        assert strict.numbers["engine rounded"] == 1

    def test_an_engine_with_other_answers_fails_and_is_only_reported_where_it_is_not_required(
        self, workshop: Make
    ) -> None:
        contender = workshop.contender("inverted", engines={"good": {}, "inverted": {"scale": -1.0}, "gone": "broken"})
        verdict = ServedParity().check(contender, None)
        assert verdict.status == "failed"
        passed = {name: value for name, value in verdict.numbers.items() if name.startswith("engine ")}
        assert passed == {"engine good": 1, "engine inverted": 0, "engine gone": 0}
        assert verdict.numbers["inverted: agreement"] < 0.5
        assert "with the engine gone, the server cannot be compared: the bundle cannot be served" in verdict.sentence
        optional = ServedParity(engines=("good",)).check(contender, None)
        assert optional.status == "passed", optional.sentence
        assert optional.numbers["engine inverted"] == optional.numbers["engine gone"] == 0
        missing = ServedParity(engines=("good", "onnx")).check(contender, None)
        assert missing.status == "failed"
        assert "the bundle has no engine 'onnx'" in missing.sentence

    def test_an_engine_with_other_labels_fails_by_its_agreement(self, workshop: Make) -> None:
        contender = workshop.contender("wobbly", engines={"wobbly": {"on": {" order ": "tie"}}})
        verdict = ServedParity(engine_tolerance=1.0).check(contender, None)
        assert verdict.status == "failed"
        assert verdict.numbers["wobbly: agreement"] < 0.98
        assert ServedParity(engine_tolerance=1.0, engine_agreement=0.0).check(contender, None).status == "passed"

    @pytest.mark.parametrize(
        "options",
        [
            *({"rows": 0}, {"sizes": ()}, {"sizes": (0,)}, {"tolerance": -1.0}, {"engine_tolerance": 2.0}),
            *({"engine_tolerances": {"onnx": 7.0}}, {"engine_agreement": 1.5}),
        ],
    )
    def test_impossible_options_are_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=next(iter(options))):
            ServedParity(**options)


class TestBudget:
    def test_a_quick_and_small_model_passes(self, sound: Contender) -> None:
        verdict = Budget(requests=50).check(sound, None)
        assert verdict.status == "passed", verdict.sentence
        numbers = verdict.numbers
        assert 0 < numbers["p50_ms"] <= numbers["p95_ms"] <= numbers["p99_ms"]
        assert numbers["requests"] == 50
        on_disk = sum(path.stat().st_size for path in sound.bundle.rglob("*") if path.is_file())
        assert numbers["size_mb"] == pytest.approx(on_disk / 2**20)
        assert numbers["memory_mb"] > 20
        assert verdict.figure is not None and "<svg" in verdict.figure

    def test_a_model_that_is_slow_in_every_round_fails(self, workshop: Make) -> None:
        slow = workshop.contender("slow", delay=0.03)
        verdict = Budget(p95_ms=20.0, requests=20, attempts=2).check(slow, None)
        assert verdict.status == "failed"
        assert "over the budget: 95 of 100 requests are answered within" in verdict.sentence
        assert verdict.numbers["rounds"] == 2
        assert verdict.numbers["p50_ms"] >= 30

    def test_one_slow_round_is_measured_again(self, sound: Contender, monkeypatch: pytest.MonkeyPatch) -> None:
        rounds = iter([[0.5] * 20, [0.001] * 20, [0.5] * 20])
        monkeypatch.setattr(Budget, "_round", lambda *_: next(rounds))
        verdict = Budget(p95_ms=100.0, requests=20).check(sound, None)
        assert verdict.status == "passed"
        assert verdict.numbers["rounds"] == 2
        assert verdict.numbers["p95_ms"] == pytest.approx(1)

    def test_a_model_that_takes_too_much_memory_fails(self, workshop: Make) -> None:
        verdict = Budget(requests=20, memory_mb=290.0, p95_ms=None).check(workshop.contender("eater", memory=300), None)
        assert verdict.status == "failed"
        assert verdict.numbers["memory_mb"] > 300
        assert "MB of memory (at most 290 MB)" in verdict.sentence

    def test_a_bundle_that_is_too_large_fails(self, sound: Contender) -> None:
        verdict = Budget(requests=20, size_mb=0.001).check(sound, None)
        assert verdict.status == "failed"
        assert "over the budget: the bundle takes" in verdict.sentence

    def test_without_limits_all_is_measured_and_nothing_judged(self, workshop: Make) -> None:
        slow = workshop.contender("unjudged", delay=0.01)
        verdict = Budget(requests=20, p95_ms=None, size_mb=None, memory_mb=None).check(slow, None)
        assert verdict.status == "passed"
        assert "at most" not in verdict.sentence
        assert verdict.numbers["rounds"] == 1

    def test_a_round_of_a_slow_model_ends_in_time(self, workshop: Make) -> None:
        slow = workshop.contender("slower", delay=0.02)
        verdict = Budget(requests=2000, seconds=0.1).check(slow, None)
        assert verdict.numbers["requests"] == 20

    def test_the_engine_that_is_to_be_deployed_can_be_chosen(self, workshop: Make) -> None:
        contender = workshop.contender("quick", delay=0.15, engines={"quick": {"on": {"😀": "nan"}}})
        slow = Budget(p95_ms=120.0, requests=20, attempts=1).check(contender, None)
        quick = Budget(p95_ms=120.0, requests=20, engine="quick").check(contender, None)
        assert (slow.status, quick.status) == ("failed", "passed"), (slow.sentence, quick.sentence)
        odd = OddInput(long=1000, engine="quick").check(contender, None)
        assert odd.status == "failed"
        assert "emoji: probabilities that are not finite numbers" in odd.sentence
        assert "has no engine 'other'" in Budget(engine="other").check(contender, None).sentence

    def test_a_refused_test_row_fails_the_budget(self, workshop: Make) -> None:
        broken = workshop.contender("broken")
        rows = replace(broken.data, test=Split(["cannot"], [0]))
        contender = workshop.contender("raising", on={"cannot": "raise"})
        verdict = Budget(requests=20).check(replace(contender, data=rows), None)
        assert verdict.status == "failed"
        assert "refused a test row with 500" in verdict.sentence

    @pytest.mark.parametrize(
        "options",
        [
            {"p95_ms": 0.0},
            {"size_mb": -1.0},
            {"memory_mb": float("nan")},
            {"requests": 5},
            {"seconds": 0.0},
            {"attempts": 0},
        ],
    )
    def test_impossible_options_are_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=next(iter(options))):
            Budget(**options)


@pytest.mark.parametrize("test", [OddInput(), ServedParity(), Budget()])
def test_a_server_that_does_not_start_fails_every_test_in_one_sentence(test: Any, workshop: Make) -> None:
    contender = workshop.contender("gone")
    shutil.rmtree(contender.bundle / "model")
    verdict: Verdict = test.check(contender, None)
    assert verdict.status == "failed"
    assert "the bundle is damaged: missing: model/" in verdict.sentence


def test_a_missing_package_of_the_server_is_named(workshop: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "NEEDED", ("no_such_server",))
    with pytest.raises(PluginError, match="no_such_server is not installed"):
        Budget().check(workshop.contender("unserved"), None)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"error": "no"}, "no list of answers"),
        ([], "0 answers to 1 text"),
        (["good"], "without scores"),
        ([{"label": "a", "scores": {"a": 1.0}}], "no score for 'b'"),
        ([{"label": "a", "scores": {"a": 1.0, "b": 0.0, "c": 0.0}}], "'c', which is no class"),
        ([{"label": "a", "scores": {"a": "1", "b": 0.0}}], "not finite numbers"),
        ([{"label": "a", "scores": {"a": float("nan"), "b": 0.0}}], "not finite numbers"),
        ([{"label": "a", "scores": {"a": 0.6, "b": 0.6}}], "add up to one, but to 1.2"),
        ([{"label": "a", "scores": {"a": 1.2, "b": -0.2}}], "add up to one"),
        ([{"label": "z", "scores": {"a": 0.6, "b": 0.4}}], "the label 'z'"),
        ([{"label": "b", "scores": {"a": 0.6, "b": 0.4}}], "does not have the highest score"),
    ],
)
def test_an_invalid_answer_is_named(value: Any, fault: str) -> None:
    with pytest.raises(InvalidAnswer, match=fault):
        read_scores(Answer(200, value, "", 0.1), 1, ("a", "b"))


@pytest.mark.parametrize(("below", "right", "wrong"), [(0.1, "b", ("a", None)), (0.5, None, ("a", "b"))])
def test_a_label_is_the_one_that_the_rule_gives(below: float, right: str | None, wrong: tuple[str | None, ...]) -> None:
    rule = AnswerRule(thresholds={"b": 0.2}, below=below, abstains=True)

    def answer(label: str | None) -> Answer:
        return Answer(200, [{"label": label, "scores": {"a": 0.7, "b": 0.3}}], "", 0.1)

    assert read_scores(answer(right), 1, ("a", "b"), "single-label", rule).tolist() == [[0.7, 0.3]]
    for label in wrong:
        with pytest.raises(InvalidAnswer, match=f"where the scores give '{right}'"):
            read_scores(answer(label), 1, ("a", "b"), "single-label", rule)


def test_scores_are_read_by_class_name() -> None:
    value = [{"label": "b", "scores": {"b": 0.7, "a": 0.3}}]
    assert read_scores(Answer(200, value, "", 0.1), 1, ("a", "b")).tolist() == [[0.3, 0.7]]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory, contender_of: Callable[[Path], Contender]) -> Contender:
    return contender_of(tmp_path_factory.mktemp("encoder"))


def test_a_real_encoder_is_served_as_it_was_scored(encoder: Contender) -> None:
    with SharedServer(encoder.bundle, threads=1) as shared:
        contender = replace(encoder, serving=shared)
        parity = ServedParity().check(contender, None)
        assert parity.status == "passed", parity.sentence
        odd = OddInput().check(contender, None)
        assert odd.status == "passed", odd.sentence
        pid = shared.get().pid
        budget = Budget(requests=30, seconds=5, p95_ms=None).check(contender, None)
        assert budget.status == "passed", budget.sentence
        assert shared.get().pid == pid, "one server for all of them"
