"""Endpoints are stored by name, independent of recipes."""

from __future__ import annotations

import json
import multiprocessing

import pytest
from ftkit_local.deployer import LocalDeployer

from ftkit import files
from ftkit.errors import UsageError
from ftkit.stages import known_endpoints


def test_an_endpoint_is_found_again_as_the_deployer_that_created_it() -> None:
    known_endpoints.remember(LocalDeployer(endpoint="news", port=4321))
    assert known_endpoints.find("news") == LocalDeployer(endpoint="news", port=4321)
    assert known_endpoints.find() == LocalDeployer(endpoint="news", port=4321), "the only one needs no name"
    known_endpoints.remember(LocalDeployer(endpoint="news"))
    assert known_endpoints.find("news").port == 0
    known_endpoints.forget("news")
    assert known_endpoints.known() == {}


def test_an_unknown_name_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no endpoint has been rolled out"):
        known_endpoints.find("news")
    known_endpoints.remember(LocalDeployer(endpoint="news"))
    with pytest.raises(UsageError, match="Did you mean 'news'"):
        known_endpoints.find("new")
    known_endpoints.remember(LocalDeployer(endpoint="reviews"))
    with pytest.raises(UsageError, match="news, reviews"):
        known_endpoints.find()


def test_an_endpoint_of_an_uninstalled_plugin_and_a_damaged_file_are_ignored() -> None:
    known_endpoints.remember(LocalDeployer(endpoint="news"))
    path = files.home() / "endpoints.json"
    path.write_text(path.read_text().replace('"local"', '"gone"'))
    assert known_endpoints.known() == {}
    path.write_text("{")
    assert known_endpoints.known() == {}


def test_entries_that_nobody_wrote_are_ignored() -> None:
    known_endpoints.remember(LocalDeployer(endpoint="news"))
    path = files.home() / "endpoints.json"
    for use in ([1], {"a": 1}, None, "\ud83d"):
        path.write_text(json.dumps({"news": {"use": use}, "b": [1], "c": 3}))
        assert known_endpoints.known() == {}
    path.write_text(json.dumps({"news": {"use": "local", "endpoint": "\ud83d"}}))
    assert known_endpoints.known() == {}


def _remember(number: int) -> None:
    known_endpoints.remember(LocalDeployer(endpoint=f"news-{number}"))


def test_endpoints_stored_by_several_processes_at_once_are_all_kept() -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        pool.map(_remember, range(9))
    assert len(known_endpoints.known()) == 9
