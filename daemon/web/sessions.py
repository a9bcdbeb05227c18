"""Who may use the page: whoever brought a code that works once. Kept in memory alone: all end with the process."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from uncnn.daemon.text import printable
from uncnn.plugins.api import UncnnError

CODE_SECONDS: Final = 3600.0
IDLE_SECONDS: Final = 3600.0
LONGEST_SECONDS: Final = 12 * 3600.0
MOST_SESSIONS: Final = 20
"""With more, the one that was silent the longest ends."""

ATTEMPTS: Final = 5
"""Wrong codes within `ATTEMPT_SECONDS`; after them no code is taken until that has passed."""

ATTEMPT_SECONDS: Final = 60.0
_LONGEST_NAME: Final = 160


class WrongCode(UncnnError):
    """A code that there is not, that was used before, or that is too old."""


class TooManyAttempts(UncnnError):
    """Too many wrong codes were tried just now."""


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that was let in."""

    number: int
    browser: str  # what it says of itself
    began: datetime
    first: float  # of the clock
    seen: float  # when it last asked for something


class Sessions:
    """The codes that were given and not used yet, and the browsers that were let in."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, made_elsewhere: Callable[[str], bool] = lambda _code: False
    ) -> None:
        """Nobody was let in yet. `made_elsewhere` uses up a code that another process gave, where there is such."""
        self._clock = clock
        self._made_elsewhere = made_elsewhere
        self._codes: dict[str, float] = {}  # until when each works
        self._sessions: dict[str, Session] = {}  # by the digest of the cookie
        self._wrong: list[float] = []
        self._number = 0

    def new_code(self) -> str:
        """Return a code that lets one browser in, within an hour."""
        code, now = secrets.token_urlsafe(24), self._clock()
        self._codes = {known: until for known, until in self._codes.items() if until >= now}
        self._codes[_digest(code)] = now + CODE_SECONDS
        return code

    def enter(self, code: str, browser: str) -> str:
        """Let a browser in; return what its cookie says. Raises WrongCode, TooManyAttempts."""
        now = self._clock()
        self._wrong = [each for each in self._wrong if now - each < ATTEMPT_SECONDS]
        if len(self._wrong) >= ATTEMPTS:
            raise TooManyAttempts(f"{ATTEMPTS} wrong codes were tried: wait a minute")
        if self._codes.pop(_digest(code), 0.0) < now and not self._made_elsewhere(code):
            self._wrong.append(now)
            raise WrongCode("this link was used before, or is too old: uncnn-daemon web prints a new one")
        self._number += 1
        token = secrets.token_urlsafe(32)
        name = printable(browser)[:_LONGEST_NAME]
        self._forget_expired()
        while len(self._sessions) >= MOST_SESSIONS:
            del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].seen)]
        self._sessions[_digest(token)] = Session(self._number, name, datetime.now(UTC), now, now)
        return token

    def known(self, token: str, asks: bool = True) -> Session | None:
        """Return the session of a cookie, None where there is none; `asks`: it is used, and not only looked up."""
        self._forget_expired()
        key = _digest(token)
        session = self._sessions.get(key)
        if session is not None and asks:
            session = self._sessions[key] = replace(session, seen=self._clock())
        return session

    def end(self, number: int) -> bool:
        """End a session; return whether there was one of this number."""
        found = [key for key, session in self._sessions.items() if session.number == number]
        for key in found:
            del self._sessions[key]
        return bool(found)

    def all(self) -> list[Session]:
        """Return the sessions, the oldest first."""
        self._forget_expired()
        return sorted(self._sessions.values(), key=lambda session: session.number)

    def seconds_left(self, session: Session) -> float:
        """Return after how many seconds it ends if nothing is asked for."""
        return min(session.seen + IDLE_SECONDS, session.first + LONGEST_SECONDS) - self._clock()

    def _forget_expired(self) -> None:
        for key in [key for key, session in self._sessions.items() if self.seconds_left(session) <= 0]:
            del self._sessions[key]


def _digest(secret: str) -> str:
    """Return what a code or cookie is kept as: how long a look-up takes says nothing of it."""
    return hashlib.sha256(secret.encode()).hexdigest()
