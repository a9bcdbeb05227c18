"""While the page is served: what is old goes, and a change of the ledger is told to whoever listens."""

from __future__ import annotations

import asyncio
import logging

import pytest
from served_page import ServedPage

from uncnn.daemon.files.folders import ledger_file
from uncnn.daemon.ledger import Ledger
from uncnn.daemon.web import dropped, housekeeping


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "EVERY_SECONDS", 0.05)


def test_a_change_of_the_ledger_is_told(page: ServedPage) -> None:
    with Ledger(ledger_file()) as ledger:
        page.site.changes.listeners += 1
        page.until(lambda: page.site.changes.listeners == 1)
        number = 0

        def told() -> bool:
            nonlocal number
            number += 1
            ledger.folders.given(page.folder / str(number), page.folder)
            return page.site.changes.version > 0

        page.until(told)


def test_a_change_is_told_though_nobody_listened_before_it(page: ServedPage) -> None:
    with Ledger(ledger_file()) as ledger:
        page.until(lambda: page.site.changes.version > 0)  # the ledger was made
        told = page.site.changes.version
        ledger.folders.given(page.folder, page.folder)
        page.until(lambda: page.site.changes.version > told)


def test_old_photos_go_by_themselves(page: ServedPage, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = page.put("a.jpg", b"a photo")
    page.until_done(photo["id"])
    monkeypatch.setattr(dropped, "FORGET_SECONDS", 0.0)
    page.until(lambda: page.site.photos.get(photo["id"]) is None)
    page.until(lambda: not list(page.folder.iterdir()))


def test_it_goes_on_after_a_fault(
    page: ServedPage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls = []

    def broken() -> None:
        calls.append(1)
        raise OSError("the disk is gone")

    monkeypatch.setattr(page.site.photos, "forget_old", broken)
    with caplog.at_level(logging.ERROR):
        page.until(lambda: len(calls) >= 2)
    assert "the disk is gone" in caplog.text


def test_it_ends_when_it_is_cancelled(page: ServedPage) -> None:
    async def keep() -> None:
        task = asyncio.create_task(housekeeping.keep_house(page.site))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(keep())
