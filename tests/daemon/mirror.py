"""A server of model files on this machine, which gives none before it is let."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Mirror:
    """What is served of a folder: `asked` are the names of files, in their order; `let` opens the tap."""

    folder: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)
    let: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    mirror: Mirror

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        self.mirror.asked.append(name)
        file = self.mirror.folder / name
        if not file.is_file():
            self.send_error(404)
            return
        content = file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        half = len(content) // 2
        self.wfile.write(content[:half])
        self.mirror.let.wait(600)
        self.wfile.write(content[half:])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def mirror_of(folder: Path) -> Iterator[Mirror]:
    """Yield a mirror of the files in a folder."""
    made = Mirror(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"mirror": made}))
    server.daemon_threads = True
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield made
    finally:
        made.let.set()
        server.shutdown()
        server.server_close()
