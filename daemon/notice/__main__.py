"""The sender as the service starts it: `python -m uncnn.daemon.notice --config FILE`."""

from __future__ import annotations

import sys

from uncnn.daemon.cli.entry import main

if __name__ == "__main__":
    sys.argv[1:1] = ["notify"]
    main()
