"""A run whose process was killed after its last stage goes on with the same command; one that has ended does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import ftkit
from ftkit import report
from ftkit.runs import ledger as ledgers
from ftkit.testing import toys


class Killed(KeyboardInterrupt):
    """The process ends here."""


def test_a_run_that_was_killed_before_its_report_was_written_goes_on_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    recipe = tmp_path / "toy.toml"
    recipe.write_text(toys.RECIPE, encoding="utf-8")
    with toys.install(tmp_path / "plugins"):
        with monkeypatch.context() as patched:
            patched.setattr(report, "announce", killed)
            with pytest.raises(Killed):
                ftkit.run(recipe, emit=lambda _: None)
        (run,) = ledgers.runs()
        assert (run.finished, run.closed) == (True, False)
        assert not (run.folder / "report.html").exists()
        first = ftkit.run(recipe, emit=lambda _: None)
        assert first.run == run.run, "it goes on"
        assert (run.folder / "report.html").is_file()
        assert ledgers.runs()[0].closed
        assert ftkit.run(recipe, emit=lambda _: None).run != first.run, "the next command begins anew"


@pytest.mark.parametrize(
    ("closes", "facts", "closed"),
    [
        (True, [], False),
        (True, ["finished"], False),
        (True, ["finished", "closed"], True),
        (False, [], False),
        (False, ["finished"], True),
    ],
)
def test_a_run_of_an_earlier_ftkit_is_closed_when_it_is_finished(
    tmp_path: Path, closes: bool, facts: list[str], closed: bool
) -> None:
    ledger = ledgers.Ledger(tmp_path)
    ledger.append("started", key="a", name="toy", **({"closes": True} if closes else {}))
    for fact in facts:
        ledger.append(fact)
    assert ledgers.Ledger(tmp_path).closed is closed
