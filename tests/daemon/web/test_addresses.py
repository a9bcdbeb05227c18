"""Under which addresses the page is reached."""

from __future__ import annotations

import pytest

from uncnn.daemon.settings import SettingsError
from uncnn.daemon.web.addresses import Addresses


def test_it_is_reached_on_this_machine_alone() -> None:
    found = Addresses.of(8000)
    assert found.hosts == {"127.0.0.1:8000", "localhost:8000"}
    assert found.origins == {"http://127.0.0.1:8000", "http://localhost:8000"}
    assert (found.shown, found.elsewhere, found.cookie) == ("http://127.0.0.1:8000", False, "uncnn-8000")


@pytest.mark.parametrize(
    ("origin", "host", "whole", "elsewhere"),
    [
        ("https://Photos.Example.org", "photos.example.org", "https://photos.example.org", True),
        ("https://photos.example.org:443/", "photos.example.org", "https://photos.example.org", True),
        ("http://photos.example.org:8080", "photos.example.org:8080", "http://photos.example.org:8080", True),
        ("http://[fd00::1]:8080", "[fd00::1]:8080", "http://[fd00::1]:8080", True),
        ("http://localhost:9000", "localhost:9000", "http://localhost:9000", False),
    ],
)
def test_a_person_names_others(origin: str, host: str, whole: str, elsewhere: bool) -> None:
    found = Addresses.of(8000, [origin])
    assert host in found.hosts
    assert whole in found.origins
    assert (found.shown, found.elsewhere) == (whole, elsewhere)


@pytest.mark.parametrize(
    "origin",
    ["", "photos.example.org", "ftp://a", "https://a/path", "https://a?x", "https://u:p@a", "https://a:x", "https://"],
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(SettingsError, match="--origin"):
        Addresses.of(8000, [origin])
