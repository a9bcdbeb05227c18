"""The process that pulls a model: the page itself reaches no other machine, and the pull ends with its process."""

from __future__ import annotations

import threading

from uncnn.daemon.files.folders import data_dir
from uncnn.daemon.protect.wire import Handlers, Report, Stage
from uncnn.daemon.web.messages import ModelPulled, PullModel
from uncnn.exporters.pulling.download import News, Origin
from uncnn.exporters.pulling.pull import Wish, pull
from uncnn.exporters.registry.catalog import read_catalog

CONVERTING = "converting"
DOWNLOADING = "downloading"


def make_puller() -> Handlers:
    """Return what the process answers."""
    return {PullModel: pulled}


def pulled(asked: PullModel, report: Report) -> ModelPulled:
    """Pull a model as `models pull` does. Raises UncnnError, OSError: it cannot be begun."""
    entries = read_catalog().named([asked.name])
    heard = _Heard(report, asked.name)
    try:
        (done,) = pull(entries, data_dir(), Wish(asked.licences, Origin(asked.mirror)), heard)
    finally:
        heard.over()
    return ModelPulled(done.state, done.message)


class _Heard:
    """Tells how far files are, one thread after another, a percent at a time, and nothing once the answer is given."""

    def __init__(self, report: Report, name: str) -> None:
        self._report = report
        self._name = name
        self._lock = threading.Lock()
        self._last: tuple[str, int] | None = None
        self._over = False

    def __call__(self, news: News) -> None:
        total = news.total or 0
        now = (f"{news.file}{news.note}", int(100 * news.size / total) if total else 0)
        with self._lock:
            if not self._over and now != self._last:
                self._last = now
                self._report(Stage(CONVERTING if news.file == self._name else DOWNLOADING, news.size, total))

    def over(self) -> None:
        with self._lock:
            self._over = True
