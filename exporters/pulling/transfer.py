"""One file over HTTP, from where it was cut off or from its start, and what may be tried again.

RFC 9110: Range and If-Range (13.1.5, 14.2), 416 (15.5.17), Retry-After (10.2.3).
"""

from __future__ import annotations

import email.utils
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import TypeAlias

import httpx

from uncnn.exporters.pulling.parts import MIRROR, DownloadError, Part, no_space
from uncnn.exporters.registry.catalog import File

HOPS = 5
LARGEST_BYTES = 8 << 30  # of a file whose size nobody stated
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})

Advance: TypeAlias = Callable[[int, int | None], None]
"""Told how many bytes of a file are there, and of how many, where that is known."""


class PassingError(Exception):
    """What may pass: a cut connection, a timeout, a busy server. `after` is how many seconds to wait, where it said."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Stopped(Exception):
    """The whole pull was stopped."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for, and how often it is asked again."""

    attempts: int = 5  # in a row that brought next to nothing
    connect_seconds: float = 20.0
    read_seconds: float = 30.0  # of silence
    window_seconds: float = 60.0
    window_bytes: int = 30_000  # fewer in a window is as good as nothing
    pause_seconds: float = 1.0  # before the second attempt; then twice that, and so on
    longest_pause_seconds: float = 120.0

    def timeout(self) -> httpx.Timeout:
        """Return the same for httpx."""
        return httpx.Timeout(self.read_seconds, connect=self.connect_seconds)


@dataclass(frozen=True, slots=True)
class Transfer:
    """How files come over HTTP: the client, how long it waits, and what stops it."""

    client: httpx.Client
    patience: Patience
    stop: Event

    def __call__(self, url: str, file: File, part: Part, advance: Advance) -> None:
        """Bring the rest of `file` from `url` into `part`, in one attempt; what it hashes to is not looked at.

        Raises:
            DownloadError: it cannot be had there. PassingError: it may be had another time. Stopped.
            OSError: it cannot be written, or the disk is full.
        """
        with _refusals(file, url), _opened(self.client, url, part.headers()) as response:
            if response.status_code == 416:
                _whole_or_begun_anew(response, part)
                return
            _check_status(response, file)
            total = _begin(response, file, part)
            self._receive(response, file, part, total, advance)
        if total is not None and part.size < total:
            raise PassingError(f"cut off at {part.size:,} of {total:,} bytes")

    def _receive(self, response: httpx.Response, file: File, part: Part, total: int | None, advance: Advance) -> None:
        """Append what comes, no more than was said."""
        size, limit = part.size, total if total is not None else LARGEST_BYTES
        since, seen = time.monotonic(), 0
        with part.path.open("ab") as stream:
            for chunk in response.iter_raw():
                if self.stop.is_set():
                    raise Stopped
                size, seen = size + len(chunk), seen + len(chunk)
                if size > limit:
                    part.remove()
                    raise DownloadError(f"{file.file}: {response.url.host} sends more than {limit:,} bytes; {MIRROR}")
                stream.write(chunk)
                advance(size, total)
                now = time.monotonic()
                if now - since >= self.patience.window_seconds:
                    if seen < self.patience.window_bytes:
                        raise PassingError(f"{seen:,} bytes in {now - since:.0f} s are too few")
                    since, seen = now, 0


@contextmanager
def _refusals(file: File, url: str) -> Iterator[None]:
    """Tell what may pass from what cannot be had, in our words."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise PassingError(f"{httpx.URL(url).host} is silent ({type(error).__name__})") from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise DownloadError(f"{file.file}: {url}: {error}; correct the URL, or leave --mirror out") from error
    except httpx.TransportError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            remedy = "correct the clock or the system's certificates ($SSL_CERT_FILE)"
            raise DownloadError(f"{file.file}: {url}: its certificate is not trusted ({error}); {remedy}") from error
        host = httpx.URL(url).host
        reached = not isinstance(error, httpx.ConnectError | httpx.ProxyError)
        words = f"the connection to {host} was cut" if reached else f"{host} cannot be reached"
        raise PassingError(f"{words} ({error})") from error


@contextmanager
def _opened(client: httpx.Client, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
    """Yield the answer to a GET, its body unread, after redirects; never from https to what is not."""
    current = httpx.URL(url)
    for _ in range(HOPS + 1):
        with client.stream("GET", current, headers=headers) as response:
            if not response.has_redirect_location:
                yield response
                return
            following = current.join(response.headers["Location"])
        if following.scheme != "https" and (current.scheme == "https" or following.scheme != "http"):
            raise DownloadError(f"{current} redirects to {following}, which is not https: it is not followed; {MIRROR}")
        current = following
    raise DownloadError(f"{url} redirects more than {HOPS} times; {MIRROR}")


def _check_status(response: httpx.Response, file: File) -> None:
    code, reason = response.status_code, f"{response.status_code} {response.reason_phrase}".strip()
    if code in {200, 206}:
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            raise DownloadError(f"{file.file}: {response.url} comes encoded as {encoding}, unasked; {MIRROR}")
        return
    if code in PASSING:
        raise PassingError(f"{response.url.host} answers {reason}", _retry_after(response))
    if code in {404, 410}:
        raise DownloadError(f"{file.file}: {response.url} is not there ({reason}); {MIRROR}")
    raise DownloadError(f"{file.file}: {response.url} is refused ({reason}); {MIRROR}")


def _begin(response: httpx.Response, file: File, part: Part) -> int | None:
    """Make `part` ready for the body, and return how many bytes it will have in the end, where that is known.

    A server that ignores Range answers 200 with the whole file: then it starts over.
    """
    if response.status_code == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
        if match is None or int(match[1]) != part.size:
            part.remove()
            raise PassingError("the server sent another range than it was asked for", 0.0)
        announced = match[2]
    else:
        part.begin(response.headers.get("ETag", ""))
        announced = response.headers.get("Content-Length", "*")
    total = int(announced) if announced.isdigit() else None
    if file.bytes is not None and total not in {None, file.bytes}:
        part.remove()
        found = f"{response.url.host} has {total:,} bytes, but the catalog says {file.bytes:,}"
        raise DownloadError(f"{file.file}: {found}: it is another file; {MIRROR}")
    total = total if total is not None else file.bytes
    needed, free = (total or 0) - part.size, shutil.disk_usage(part.path.parent).free
    if needed > free:
        raise DownloadError(no_space(part, f"{needed:,} bytes are needed and {free:,} are free"))
    return total


def _whole_or_begun_anew(response: httpx.Response, part: Part) -> None:
    """Take 416: nothing follows what is there. Where that is all of it, well; else it is another file's."""
    match = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", "").strip())
    if match is None or int(match[1]) != part.size:
        part.remove()
        raise PassingError("the server has no such range (416): starting over", 0.0)


def _retry_after(response: httpx.Response) -> float | None:
    """Return Retry-After in seconds, where it is given."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
