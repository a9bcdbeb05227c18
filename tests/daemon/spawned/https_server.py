"""A server that is reached by https:// and whose clients meet `fake_server.py`, which does as it is named.

With --real at the end they meet a real one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from uncnn.daemon.remote import listening
from uncnn.daemon.remote.certificate import identity


def main() -> None:
    """Serve at any free port: data folder, name, how many clients at once."""
    data, name, at_once = sys.argv[1:4]
    fake = Path(__file__).with_name("fake_server.py")
    if "--real" not in sys.argv:
        listening.ENDPOINT = (sys.executable, str(fake), "--", name)  # type: ignore[misc]
    sys.exit(listening.listen(identity(Path(data)), ["127.0.0.1"], 0, "cpu", int(at_once)))


if __name__ == "__main__":
    main()
