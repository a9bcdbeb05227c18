"""What a browser does with a page that runs as a process: it goes by its link, drops photos and looks."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

PATIENCE_SECONDS = 600.0


class Browser:
    """A browser that goes by a link."""

    def __init__(self, link: str) -> None:
        self.host, _, path = link.removeprefix("http://").partition("/")
        self.cookie = ""
        answer = self._answer("GET", f"/{path}")
        assert answer.status == 303, answer.status
        self.cookie = str(answer.getheader("Set-Cookie")).partition(";")[0]

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        answer = self._answer(method, path, body)
        content = answer.read()
        assert answer.status < 400, (path, answer.status, content)
        return content

    def drop(self, content: bytes, name: str = "photo.png") -> str:
        return str(json.loads(self.ask("PUT", f"/photos/{name}", content))["id"])

    def photos(self) -> list[dict[str, Any]]:
        return list(json.loads(self.ask("GET", "/state.json"))["photos"])

    def until_done(self, identity: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            photo = next(each for each in self.photos() if each["id"] == identity)
            if photo["status"] not in {"waiting", "working"}:
                return photo
            time.sleep(0.2)
        raise AssertionError("too late")

    def _answer(self, method: str, path: str, body: bytes | None = None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE_SECONDS)
        headers = {"Host": self.host, "Cookie": self.cookie, "Origin": f"http://{self.host}"}
        connection.request(method, path, body, headers)
        return connection.getresponse()
