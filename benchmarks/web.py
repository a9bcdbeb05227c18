"""What the page takes: bytes and time of each of its pages, and the memory of its process, also after many uploads.

Exit status 1 where one is beyond what the page may take.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = Path(sys.executable).with_name("uncnn-daemon")
PORTRAIT = Path(__file__).resolve().parents[1] / "docs" / "examples" / "astronaut.png"
PAGES = ("/", "/today", "/held", "/health", "/sessions", "/static/page.css", "/static/page.js", "/state.json")
PATIENCE_SECONDS = 600.0

MOST_MS = 150.0
MOST_BYTES = 100_000
MOST_MB = 60.0


class Page:
    """A page that runs, and a browser that was let in."""

    def __init__(self, home: Path) -> None:
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "UNCNN_STATE": str(home / "state")}
        command = [str(PROGRAM), "web", "--port", "0"]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        link = next(found[0] for line in self.process.stdout if (found := re.search(r"http://\S+", line)))
        self.host, _, entry = link.removeprefix("http://").partition("/")
        self.cookie = ""
        self.cookie = str(self.answered("GET", f"/{entry}").getheader("Set-Cookie")).partition(";")[0]

    def answered(self, method: str, path: str, body: bytes | None = None) -> http.client.HTTPResponse:
        """Return the answer to a request of that browser."""
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE_SECONDS)
        headers = {"Host": self.host, "Cookie": self.cookie, "Origin": f"http://{self.host}"}
        connection.request(method, path, body, headers)
        return connection.getresponse()

    def timed(self, path: str, times: int = 20) -> tuple[float, int]:
        """Return the median of how many milliseconds an answer takes, and its bytes."""
        took, size = [], 0
        for _ in range(times):
            began = time.perf_counter()
            size = len(self.answered("GET", path).read())
            took.append(1000 * (time.perf_counter() - began))
        return statistics.median(took), size

    def wait(self) -> None:
        """Wait until no photo is undone."""
        while b'"undone":0' not in self.answered("GET", "/state.json").read():
            time.sleep(0.5)

    def memory(self) -> float:
        """Return the resident memory in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found is not None
        return int(found[1]) * 1024 / 1e6


def main() -> int:
    """Print the figures of docs/web.md; return 1 where one is beyond what the page may take."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="10 uploads: shows that it runs")
    options = parser.parse_args()
    uploads = 10 if options.smoke else 200
    beyond: list[str] = []
    with tempfile.TemporaryDirectory() as home:
        page = Page(Path(home))

        def remembers(words: str) -> None:
            taken = page.memory()
            beyond.extend([f"{taken:.1f} MB {words}"] if taken > MOST_MB else [])
            print(f"| {words} | {taken:.1f} |", flush=True)

        try:
            print("| | bytes | ms |\n| --- | ---: | ---: |")
            for path in PAGES:
                took, size = page.timed(path)
                beyond.extend([f"{path}"] if took > MOST_MS or size > MOST_BYTES else [])
                print(f"| `{path}` | {size} | {took:.1f} |")
            print("\n| memory of the process | MB |\n| --- | ---: |")
            remembers("after its pages")
            page.answered("PUT", "/photos/portrait.png", PORTRAIT.read_bytes()).read()
            page.wait()
            remembers("after a photo")
            filler = os.urandom(10_000_000)
            for number in range(1, uploads + 1):
                assert page.answered("PUT", f"/photos/{number}.jpg", filler).status == 201
                if number in {uploads // 4, uploads}:
                    remembers(f"after {number} more of 10 MB each")
            page.wait()
            took, size = page.timed("/")
            beyond.extend(["/ with photos"] if took > MOST_MS or size > MOST_BYTES else [])
            print(f"\nwith {uploads + 1} photos, the page has {size / 1000:.0f} kB and takes {took:.0f} ms")
        finally:
            page.process.send_signal(signal.SIGTERM)
            page.process.wait(30)
    if beyond:
        print(f"beyond {MOST_MB} MB, {MOST_MS:.0f} ms or {MOST_BYTES / 1000:.0f} kB: {', '.join(beyond)}")
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
