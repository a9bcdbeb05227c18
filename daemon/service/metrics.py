"""What the service measures, as a text file for Prometheus' node exporter (its textfile collector)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from uncnn.daemon.audit.findings import WORDS
from uncnn.daemon.audit.last import LastAudit
from uncnn.daemon.ledger.states import State
from uncnn.daemon.ledger.view import View, exit_status
from uncnn.daemon.text import printable


def write_metrics(file: Path, found: View, audit: LastAudit | None = None) -> None:
    """Write what a view of the ledger and the last audit say, in one rename. Raises OSError."""
    registry = CollectorRegistry()
    now = datetime.now(UTC)

    def gauge(name: str, words: str, value: float) -> None:
        Gauge(f"uncnn_{name}", words, registry=registry).set(value)

    def by_folder(name: str, words: str, *more: str) -> Gauge:
        return Gauge(f"uncnn_{name}", words, ["folder", *more], registry=registry)

    gauge("status", "Exit status of uncnn-daemon status: 0 healthy, 3 not running, 4 degraded", exit_status(found, now))
    if found.run is not None:
        gauge("beat_timestamp_seconds", "Last sign of life", found.run.beat.timestamp())
        gauge("start_timestamp_seconds", "When the service started", found.run.started.timestamp())
        gauge("published_photos", "Photos published since the service started", found.run.published)
        gauge("protected_faces", "Faces protected in them", found.run.faces)
        gauge("busy_seconds", "Time that photos took since the service started", found.run.busy_seconds)
    photos = by_folder("photos", "Photos of a watched folder by their state", "state")
    waiting = by_folder("waiting_photos", "Photos that are to be done")
    oldest = by_folder("oldest_waiting_seconds", "How long the oldest of them waits")
    missed = by_folder("missed_events", "Photos that no event told of since the service started")
    doubts = by_folder(
        "released_photos", "Photos published without a face, with uncertain faces, on the word of one family", "doubt"
    )
    passed = by_folder("ignored_files", "Files and folders that are not taken, by the reason", "reason")
    blocked = by_folder("blocked", "Whether nothing can be done for a folder at present")
    for folder in found.folders:
        name = printable(folder.watch)
        for state in State:
            photos.labels(name, state.value).set(folder.counts.get(state, 0))
        for doubt, number in folder.doubts.as_json().items():
            doubts.labels(name, doubt.replace("_", "-")).set(number)
        for reason, number in folder.ignored.items():
            passed.labels(name, reason.value).set(number)
        waiting.labels(name).set(folder.waiting)
        oldest.labels(name).set((now - folder.oldest).total_seconds() if folder.oldest else 0)
        missed.labels(name).set(folder.missed)
        blocked.labels(name).set(bool(folder.blocked))
    if audit is not None:
        gauge("audit_timestamp_seconds", "When published photos were looked at last", audit.ended.timestamp())
        named = Gauge("uncnn_audit_findings", "What was found then, by kind", ["kind"], registry=registry)
        for kind in WORDS:
            named.labels(kind).set(audit.counts.get(kind, 0))
    write_to_textfile(str(file), registry)
