"""Tests that every plugin with the hook `watchers` must pass, to inherit.

class TestTelemetry(WatcherSuite):
    @pytest.fixture
    def component(self):
        return ftkit_telemetry          # the module, or any object with a hook `watchers`
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from ftkit import plugins
from ftkit.contracts.monitoring import Profile, Served, ServedRequest, Watcher
from ftkit.testing.components import OwnHome

SECONDS = 5.0
"""Limit for closing a watcher: a server that ends waits no longer."""


class WatcherSuite(OwnHome):
    """Inherit as a class named `Test…` and override the fixture `component`."""

    @pytest.fixture
    def component(self) -> Any:
        """The plugin under test, configured to watch: a module or object with a hook `watchers`."""
        raise NotImplementedError("override the fixture `component`")

    @pytest.fixture
    def watchers(self, component: Any) -> list[Watcher]:
        """The plugin's watchers of a deployment."""
        watchers = list(component.watchers(served=sample_served()))
        assert watchers, "it watches nothing; configure it in the fixture `component`"
        return watchers

    def test_it_is_a_plugin_with_the_hook(self, component: Any) -> None:
        loaded = plugins.collect([], {"watcher": component})
        assert not loaded.broken, f"ftkit sets it aside: {[(each.reason, each.hint) for each in loaded.broken]}"
        assert callable(getattr(component, "watchers", None)), "it has no function `watchers` with @hookimpl"

    def test_it_accepts_every_kind_of_request(self, watchers: list[Watcher]) -> None:
        for each in watchers:
            for request in sample_requests():
                each.tell(request)
            each.close()

    def test_it_accepts_a_deployment_with_few_details(self, component: Any) -> None:
        bare = replace(sample_served(), endpoint="", deployment="d", name="", run="", profile=None)
        for each in component.watchers(served=bare):
            each.tell(replace(sample_requests()[0], served=bare))
            each.close()

    def test_it_accepts_requests_that_no_deployment_answers(self, component: Any) -> None:
        front = Served("reviews", "", "", "", "", "", (), None)
        for each in component.watchers(served=front):
            each.tell(replace(sample_requests()[4], served=front))
            each.close()

    def test_it_accepts_invalid_trace_headers(self, watchers: list[Watcher]) -> None:
        for each in watchers:
            for header in ("", "00", "00-zz-zz-01", "x" * 10_000, "00-" + "0" * 32 + "-" + "0" * 16 + "-01"):
                each.tell(replace(sample_requests()[0], trace={"traceparent": header, "tracestate": header}))
            each.close()

    def test_it_does_not_write_to_standard_output(
        self, watchers: list[Watcher], capfd: pytest.CaptureFixture[str]
    ) -> None:
        for each in watchers:
            for request in sample_requests():
                each.tell(request)
            each.close()
        assert capfd.readouterr().out == "", "print nothing: log, standard output belongs to the server"

    def test_closing_it_takes_limited_time(self, watchers: list[Watcher]) -> None:
        begun = time.monotonic()
        for each in watchers:
            each.tell(sample_requests()[0])
            each.close()
        seconds = time.monotonic() - begun
        assert seconds < SECONDS, f"closing took {seconds:.1f} s: a server that ends waits no longer than {SECONDS:g}"

    def test_it_can_be_closed_without_a_request(self, watchers: list[Watcher]) -> None:
        for each in watchers:
            each.close()


def sample_served() -> Served:
    """A deployment with all details."""
    return Served(
        endpoint="reviews",
        deployment="v3-20250101-120000",
        bundle="ab" * 32,
        name="sample",
        run="sample-20250101-120000",
        engine="native",
        classes=("negative", "positive"),
        profile=Profile({"negative": 20, "positive": 60}, (0.6, 0.8), (20, 30, 30)),
    )


def sample_requests() -> list[ServedRequest]:
    """Requests of each kind: one text, several, none, refused, failed, and one whose caller disconnected."""
    one = ServedRequest(
        served=sample_served(),
        began=1_735_732_800_000_000_000,
        seconds=0.0123,
        status=200,
        labels=("positive",),
        confidences=(0.93,),
        tokens=7,
        waited=0.001,
        computed=0.010,
        trace={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "shop=1"},
        texts=("It broke after a week.",),
    )
    bare = replace(one, labels=(), confidences=(), tokens=None, waited=0.0, computed=0.0, trace={})
    return [
        one,
        replace(one, labels=("positive", "negative"), confidences=(0.7, 0.6), tokens=15, texts=("Fits.", "Broke.")),
        replace(bare, texts=()),
        replace(bare, status=422, texts=()),
        replace(bare, status=503),
        replace(bare, status=429),
        replace(bare, status=500),
        replace(bare, status=499),
    ]
