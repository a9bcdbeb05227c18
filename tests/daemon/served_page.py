"""The page, served on loopback by the real server in a thread, and a browser that was let in."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uncnn.daemon.config import Config
from uncnn.daemon.web.addresses import Addresses
from uncnn.daemon.web.configured import Configured
from uncnn.daemon.web.server import PageServer, listening, new_site
from uncnn.daemon.web.sessions import Sessions

PATIENCE_SECONDS = 120.0  # a machine that does much else


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class ServedPage:
    """A page; what it keeps lies in `folder`."""

    folder: Path
    config: Config = field(default_factory=Config)
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.socket = listening(0)
        self.port: int = self.socket.getsockname()[1]
        self.site = new_site(
            Configured(self.folder.parent / "config.yaml", self.config),
            None,
            Addresses.of(self.port, self.origins),
            Sessions(),
            self.folder,
        )
        self.server = PageServer(self.site)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]})
        self.thread.start()
        self.until(lambda: self.server.started)
        self.cookie = ""
        self.cookie = self.enter(self.site.sessions.new_code())

    @classmethod
    def reached(cls, port: int) -> ServedPage:
        """Return a browser at a page that another process serves."""
        page = cls.__new__(cls)
        page.port, page.cookie = port, ""
        return page

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def enter(self, code: str) -> str:
        """Return the cookie that a code is exchanged for."""
        answer = self.ask("GET", f"/enter?code={code}")
        assert answer.status == 303, answer
        return answer.headers["set-cookie"].partition(";")[0]

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Return the answer to a request as a browser makes it; `_` in a header's name is `-`, "" leaves it out."""
        named = {"Host": self.host, "Cookie": self.cookie}
        if method not in {"GET", "HEAD"}:
            named |= {"Origin": f"http://{self.host}", "Sec-Fetch-Site": "same-origin"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in named.items():
            if value:
                connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        got = connection.getresponse()
        answer = Answer(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())
        connection.close()
        return answer

    def say(self, raw: bytes) -> bytes:
        """Return all that is answered to these bytes, once the other end closes the connection.

        One that is closed before all was read from it may lose what was answered.
        """
        said = b""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS) as opened, suppress(ConnectionError):
            opened.sendall(raw)
            while part := opened.recv(65536):
                said += part
        return said

    def status(self, raw: bytes) -> int:
        """Return the status that is answered to these bytes, 0 where the connection was closed without."""
        said = self.say(raw).split(b" ")
        return int(said[1]) if len(said) > 1 else 0

    def put(self, name: str, content: bytes, query: str = "") -> dict[str, Any]:
        """Drop a photo, and return what is known of it."""
        answer = self.ask("PUT", f"/photos/{name}{query}", content)
        assert answer.status == 201, answer
        return dict(answer.json())

    def state(self) -> dict[str, Any]:
        return dict(self.ask("GET", "/state.json").json())

    def photo(self, identity: str) -> dict[str, Any]:
        """Return what is known of one photo."""
        return dict(next(each for each in self.state()["photos"] if each["id"] == identity))

    def until_done(self, identity: str) -> dict[str, Any]:
        """Return what became of a photo, once it is done."""
        self.until(lambda: self.photo(identity)["status"] not in {"waiting", "working"})
        return self.photo(identity)

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "too late"
            time.sleep(0.02)

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(PATIENCE_SECONDS)
        self.socket.close()
        assert not self.thread.is_alive()
