"""`run --once` as a process of its own, with processes without networks: `python stub_once.py CONFIG [named]`.

With `named` the system has no files without names, with `claimed` neither links nor renaming that never replaces.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

if __name__ == "__main__":
    import stub_engine

    from uncnn.daemon.commands import run_once as once

    once.engine_for = stub_engine.stub_for
    if len(sys.argv) > 2 and sys.argv[2] in ("named", "claimed"):
        del os.O_TMPFILE
    if "claimed" in sys.argv[2:]:
        from uncnn.daemon.files import draft

        def refused(*_arguments, **_named):
            raise PermissionError(1, "Operation not permitted")

        os.link = draft.rename_without_replacing = refused
    sys.exit(once.run_once(Path(sys.argv[1]), as_json=False))
