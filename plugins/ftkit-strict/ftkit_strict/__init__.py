"""Promotion tests for ftkit that look at more than one number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ftkit import hookimpl
from ftkit_strict.agreement import Agreement
from ftkit_strict.budget import Budget
from ftkit_strict.calibration import Calibration
from ftkit_strict.champion import NoWorseThanChampion
from ftkit_strict.degenerate import NotDegenerate
from ftkit_strict.direction import Direction
from ftkit_strict.examples import Examples
from ftkit_strict.invariance import Invariance
from ftkit_strict.label_noise import LabelNoise
from ftkit_strict.leakage import Leakage
from ftkit_strict.odd_input import OddInput
from ftkit_strict.preset import Strict
from ftkit_strict.reload import Reload
from ftkit_strict.served_parity import ServedParity
from ftkit_strict.slices import Slices
from ftkit_strict.split_leakage import SplitLeakage
from ftkit_strict.teacher import NearTeacher


@hookimpl
def promotion_tests() -> Sequence[type[Any]]:
    """Promotion tests of this plugin."""
    return [
        NoWorseThanChampion,
        NearTeacher,
        Agreement,
        Calibration,
        Slices,
        Invariance,
        Direction,
        Examples,
        Leakage,
        SplitLeakage,
        LabelNoise,
        NotDegenerate,
        OddInput,
        ServedParity,
        Budget,
        Reload,
    ]


@hookimpl
def promotion_presets() -> Sequence[type[Any]]:
    """Ready-made sets of these promotion tests."""
    return [Strict]
