"""What every request has to pass before anything else of the page sees it, and what every answer bears.

Only a browser that was let in is answered, only under an address of the page's own, and what changes something must
come from the page itself. Everything else is refused in words that say nothing of the file system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from uncnn.daemon.web.addresses import Addresses
from uncnn.daemon.web.sessions import Sessions

READING: Final = frozenset({"GET", "HEAD"})
CHANGING: Final = frozenset({"PUT", "POST", "DELETE"})
ENTRY: Final = "/enter"
STATIC: Final = "/static/"

LONGEST_PATH: Final = 2048
LONGEST_BODY: Final = 16_384
"""Bytes of a request that is no photo."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script';"
    " trusted-types 'none'"
)
_HIDDEN: Final = "null"
"""The `Origin` of a form on a page that tells nobody where its visitors come from, as ours does."""

BORNE: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""What every answer bears, besides that none of them is stored, except for what everybody's page has."""

CAMERA_HEADERS: Final = {
    "Content-Security-Policy": POLICY.replace("trusted-types 'none'", "trusted-types camera-worker"),
    "Permissions-Policy": BORNE["Permissions-Policy"].replace("camera=()", "camera=(self)"),
}
"""What the page of the camera bears instead: it may take the camera, and begin the one script that runs beside it."""

WORKER_HEADERS: Final = {
    "Content-Security-Policy": POLICY.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")
}
"""What that script bears instead: it, and no page, may compile WebAssembly. It has no document."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further."""

    status: int
    reason: str  # its name among the strings


RefusalPage = Callable[[Refusal, bool], Response]
"""Makes the answer to what is refused: as a page for a person, or else for a program."""


class Doors:
    """The application behind them sees only what may pass."""

    def __init__(self, inside: ASGIApp, addresses: Addresses, sessions: Sessions, page: RefusalPage) -> None:
        """Stand before `inside`."""
        self._inside = inside
        self._addresses = addresses
        self._sessions = sessions
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it and end its connection, whatever it would still send."""
        if scope["type"] != "http":
            await self._inside(scope, receive, send)
            return
        closed = _with_headers(send, scope["path"])
        refusal = next(self._refusals(scope), None)
        if refusal is None:
            await self._inside(scope, receive, closed)
            return
        answer = self._page(refusal, "text/html" in Headers(scope=scope).get("accept", ""))
        answer.headers["Connection"] = "close"
        await answer(scope, receive, closed)

    def _refusals(self, scope: Scope) -> Iterator[Refusal]:
        """Yield why a request may not pass, nothing where it may; nothing of its body is read."""
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        if headers.get("host", "").lower() not in self._addresses.hosts:
            yield Refusal(421, "host")
        if method not in READING | CHANGING:
            yield Refusal(405, "method")
        if not path.startswith("/") or len(scope["raw_path"]) > LONGEST_PATH:
            yield Refusal(404, "path")
        if self._is_strange(headers, method):
            yield Refusal(403, "origin")
        if _announced(headers) > (0 if method in READING else LONGEST_BODY) and method != "PUT":
            yield Refusal(413, "size")
        if path == ENTRY or path.startswith(STATIC):
            if method not in READING:
                yield Refusal(405, "method")
        elif self._sessions.known(token_of(scope, self._addresses)) is None:
            yield Refusal(401, "session")

    def _is_strange(self, headers: Headers, method: str) -> bool:
        """Return whether a request does not come from the page itself, as far as that is asked of it."""
        site, origins = headers.get("sec-fetch-site"), headers.getlist("origin")
        if method in READING:  # another page may lead here, but not show what is here as a picture or a script
            return site not in {None, "same-origin", "none"} and headers.get("sec-fetch-mode") != "navigate"
        matching = [each for each in origins if each in self._addresses.origins]
        if site is None:
            return not matching or len(origins) > 1
        return site != "same-origin" or bool({*origins} - {*matching, _HIDDEN})


def token_of(scope: Scope, addresses: Addresses) -> str:
    """Return what the page's cookie says, "" where there is none or more than one."""
    found = []
    for header in HTTPConnection(scope).headers.getlist("cookie"):
        for pair in header.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == addresses.cookie:
                found.append(value)
    return found[0] if len(found) == 1 else ""


def cookie_of(addresses: Addresses, token: str, secure: bool) -> str:
    """Return the header that makes a browser keep a session's token."""
    jar = SimpleCookie()
    jar[addresses.cookie] = token
    morsel = jar[addresses.cookie]
    morsel["path"], morsel["httponly"], morsel["samesite"], morsel["secure"] = "/", True, "Strict", secure
    return morsel.OutputString()


def _announced(headers: Headers) -> int:
    """Return how long a body is said to be; one that comes in pieces of unsaid length counts as a byte."""
    text = headers.get("content-length", "1" if "transfer-encoding" in headers else "0")
    return int(text) if text.isdecimal() else LONGEST_BODY + 1


def _with_headers(send: Send, path: str) -> Send:
    """Return what sends an answer with the headers that all have."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = "no-cache" if path.startswith(STATIC) else "no-store"
            added = {**BORNE, "Cache-Control": kept}
            own = {name.lower() for name, _ in message["headers"]}
            more = [(name.lower().encode(), value.encode()) for name, value in added.items()]
            message = {**message, "headers": [*message["headers"], *(pair for pair in more if pair[0] not in own)]}
        await send(message)

    return sending
