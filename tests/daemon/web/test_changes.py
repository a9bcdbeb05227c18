"""Whoever listens hears of a change, from whichever thread it is told."""

from __future__ import annotations

import asyncio
import threading

from uncnn.daemon.web.changes import Changes


def test_a_change_that_a_thread_tells_is_heard() -> None:
    async def listen() -> tuple[int, int]:
        changes = Changes()
        changes.opened()
        heard = [asyncio.create_task(changes.after(0, 60)) for _ in range(2)]
        await asyncio.sleep(0)
        assert changes.listeners == 2
        threading.Thread(target=changes.tell).start()
        one, other = await asyncio.gather(*heard)
        assert changes.listeners == 0
        return one, other

    assert asyncio.run(listen()) == (1, 1)


def test_what_changed_before_is_heard_at_once() -> None:
    async def listen() -> int:
        changes = Changes()
        changes.opened()
        changes.tell()
        changes.tell()
        return await changes.after(0, 60)

    assert asyncio.run(listen()) == 2


def test_patience_ends_and_so_does_the_page() -> None:
    async def listen() -> None:
        changes = Changes()
        changes.opened()
        assert await changes.after(0, 0.01) == 0
        waiting = asyncio.create_task(changes.after(0, 60))
        await asyncio.sleep(0)
        changes.close()
        await waiting
        assert changes.closed

    asyncio.run(listen())


def test_after_the_page_ended_a_thread_may_tell_yet() -> None:
    changes = Changes()

    async def opened() -> None:
        changes.opened()

    asyncio.run(opened())
    changes.tell()
    assert changes.version == 1
