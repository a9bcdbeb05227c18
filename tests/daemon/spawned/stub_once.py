"""`run --once` as a process of its own, with processes without networks: `python stub_once.py CONFIG [named]`.

With `named` the system has no files without names.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

if __name__ == "__main__":
    import stub_crew

    from uncnn.daemon import once

    once.Crew = stub_crew.StubCrew
    if "named" in sys.argv[2:]:
        del os.O_TMPFILE
    sys.exit(once.run_once(Path(sys.argv[1]), as_json=False))
