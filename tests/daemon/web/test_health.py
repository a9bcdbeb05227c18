"""How uncnn is, on one page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import pytest
from scene import Scene
from served_page import ServedPage

from uncnn.daemon.audit.last import LastAudit, write_last
from uncnn.daemon.ledger import Run
from uncnn.daemon.ledger.server_state import ServerState
from uncnn.plugins.recognisers.canary_answers import CanaryAnswers


def test_health_is_what_the_status_says_and_more(
    scene: Scene, page: ServedPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNCNN_STATE", str(scene.state))
    scene.put("held.jpg", "unprotected")
    scene.run()
    at = datetime.now(UTC) - timedelta(hours=2, minutes=30)  # the same words in each answer, however slow they are
    write_last(scene.state, LastAudit(at, True, 5, 5, {"changed": 2}))
    health = page.ask("GET", "/health.json").json()
    assert health["version"] == version("uncnn")
    assert health["exit_status"] == 4
    assert health["status"]["needs_you_in_all"] == 1
    assert health["status"]["audit"]["counts"] == {"changed": 2}
    assert health["audit_words"].startswith("last audit: 2 hours ago, 5 photos: ")
    (canaries,) = health["status"]["service"]["canaries"]
    assert (canaries["process"], canaries["passed"], canaries["failed"]) == ("verifier", ["stub"], [])
    state, publish = health["disks"]
    assert (state["what"], publish["what"], publish["folder"]) == ("state", "publish", str(scene.publish))
    assert 0 < publish["free_bytes"] < publish["total_bytes"]
    shown = page.ask("GET", "/health").body.decode()
    assert version("uncnn") in shown
    assert health["audit_words"] in shown
    assert 'data-process="verifier"' in shown
    assert canaries["asked"] in shown
    with Run(scene.state / "ledger.sqlite3").beating() as run:
        run.canaries_said([CanaryAnswers(canaries["asked"], (), ("a",), "a links two strangers: <b>", "verifier")])
        run.servers_seen([ServerState("https://box", problem="it says <b>"), ServerState("ssh://box", "cuda")])
        shown = page.ask("GET", "/health").body.decode()
    over = page.ask("GET", "/health").body.decode()
    assert ("connected</span>\nssh://box, cuda" in shown, "not asked any more" in shown) == (True, False)
    assert ("not asked any more</span>\nssh://box</li>" in over, "connected</span>" in over) == (True, False)
    assert "it says &lt;b&gt;" in shown
    assert "Failed by a: a links two strangers: &lt;b&gt;" in shown


def test_a_disk_that_is_not_there_is_said(scene: Scene, page: ServedPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCNN_STATE", str(scene.state))
    scene.put("a.jpg", "a photo")
    scene.run()
    (scene.publish / "a.jpg").unlink()
    scene.publish.rmdir()
    (_, publish) = page.ask("GET", "/health.json").json()["disks"]
    assert (publish["free_bytes"], publish["total_bytes"]) == (None, None)
    assert page.ask("GET", "/health").status == 200
