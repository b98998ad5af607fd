"""The number of the plugin API: a plugin that does not fit is set aside before it is imported, and the others work."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint

import pytest

import ftkit
from ftkit import plugins
from ftkit.errors import PluginError
from ftkit.plugins import api

Place = Callable[..., EntryPoint]


def test_the_number_is_part_of_ftkit() -> None:
    assert isinstance(ftkit.API, int)


@pytest.mark.parametrize("number", ["", str(ftkit.API)])
def test_a_plugin_that_fits_or_says_nothing_is_loaded(number: str, place: Place) -> None:
    loaded = plugins.collect([place("acme-fitting", api=number)])
    assert (len(loaded.offers), loaded.broken) == (1, ())


def test_a_plugin_for_a_later_number_is_set_aside_unimported_and_the_others_work(place: Place) -> None:
    later = place("acme-later", "raise AssertionError('it was imported')", api=str(ftkit.API + 1))
    loaded = plugins.collect([later, place("acme-fitting")])
    assert [each.plugin for each in loaded.offers] == ["acme-fitting 1.2"]
    (broken,) = loaded.broken
    assert broken.plugin == "acme-later 1.2"
    assert broken.reason == (
        f"it requires number {ftkit.API + 1} of the plugin API, and ftkit {ftkit.__version__} has number {ftkit.API}"
    )
    assert broken.hint == "Upgrade ftkit, or use an older release of acme-later."
    with pytest.raises(PluginError) as refused:
        loaded.find("search_spaces", "something-of-later")
    assert "acme-later 1.2 was set aside: it requires number" in refused.value.hint


def test_a_plugin_for_a_number_that_is_no_longer_supported_is_set_aside(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "API", 7)
    monkeypatch.setattr(api, "OLDEST_API", 5)
    (broken,) = plugins.collect([place("acme-old", api="4"), place("acme-fitting", api="5")]).broken
    assert broken.reason == f"it was made for number 4 of the plugin API, and ftkit {ftkit.__version__} supports 5 to 7"
    assert broken.hint == "Upgrade acme-old, or use an older release of ftkit."


@pytest.mark.parametrize("number", ["v1", "1.0", "²", "9" * 30])
def test_what_is_no_number_is_set_aside_with_what_to_write(number: str, place: Place) -> None:
    (broken,) = plugins.collect([place("acme-odd", api=number)]).broken
    assert broken.reason == f"it requires the plugin API {number!r}, which is no number"
    assert "[project.entry-points.requires_ftkit_api]" in broken.hint
