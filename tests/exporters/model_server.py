"""A real HTTP server of a folder that does what servers do on a bad day: one trick a request, in the order given.

A request for which no trick is left is answered well: Range, If-Range and ETag work.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


@dataclass
class ModelServer:
    """The server of `folder`: `tricks[name]` are played one a request, `seen` holds what was asked for."""

    folder: Path
    tricks: dict[str, list[str]] = field(default_factory=dict)
    seen: list[tuple[str, str | None]] = field(default_factory=list)  # file name, Range
    pause: float = 0.0  # between two pieces of 64 KB
    url: str = ""

    def ranges(self, name: str) -> list[str | None]:
        return [asked for file, asked in self.seen if file == name]


class Handler(BaseHTTPRequestHandler):
    server_version = "ModelServer"
    model_server: ModelServer

    def do_GET(self) -> None:
        server = self.model_server
        name = self.path.rpartition("/")[2]
        server.seen.append((name, self.headers.get("Range")))
        left = server.tricks.get(name, [])
        trick, _, value = (left.pop(0) if left else "").partition("=")
        path = server.folder / name
        if not path.is_file():
            return self.send_error(404)
        if trick.isdigit():
            return self.refuse(int(trick), value)
        if trick == "redirect":
            return self.redirect(value)
        content = path.read_bytes()
        if trick == "wrong":
            content = bytes([content[0] ^ 0xFF]) + content[1:]
        self.answer(content, trick)
        return None

    def refuse(self, code: int, retry_after: str) -> None:
        self.send_response(code)
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def redirect(self, target: str) -> None:
        self.send_response(302)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self, content: bytes, trick: str) -> None:
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        start, whole = 0, content
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        fresh = self.headers.get("If-Range", etag) == etag
        if match and fresh and not trick.startswith("ignore-range"):
            start = int(match[1])
            if start >= len(whole):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(whole)}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            content = whole[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        if not trick.startswith("no-etag"):
            self.send_header("ETag", etag)
        if trick == "encoded":
            self.send_header("Content-Encoding", "gzip")
        if trick != "longer" and not trick.startswith("no-length"):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.body(content, trick)
        return None

    def body(self, content: bytes, trick: str) -> None:
        pieces = [content[at : at + 65536] for at in range(0, len(content), 65536)]
        if trick.endswith("cut"):
            pieces = pieces[: max(len(pieces) // 2, 1)]
        if trick == "longer":
            pieces = [content, b"?" * 1000]
        if trick == "silent":
            time.sleep(1.5)
        try:
            for piece in [bytes([byte]) for byte in content[:100]] if trick == "drip" else pieces:
                self.wfile.write(piece)
                time.sleep(0.05 if trick == "drip" else self.model_server.pause)
        except OSError:  # the client had enough
            pass
        self.close_connection = True

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path, certificate: Path | None = None) -> Iterator[ModelServer]:
    """Yield a server of `folder` on a port of its own; with a certificate, and its key in the same file, over TLS."""
    server = ModelServer(folder)
    listener = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"model_server": server}))
    listener.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
    server.url = f"{'https' if certificate else 'http'}://127.0.0.1:{listener.server_address[1]}"
    Thread(target=listener.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
