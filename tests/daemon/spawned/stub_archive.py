"""`archive work` as a process, with processes without networks: `python stub_archive.py PLAN SHARD [words]`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

if __name__ == "__main__":
    import stub_engine

    from uncnn.daemon import settings
    from uncnn.daemon.commands.archive import work_archive

    settings.engine_for = stub_engine.stub_for
    sys.exit(work_archive(sys.argv[1], sys.argv[2], "auto", 600.0, False, sys.argv[3:] != ["words"]))
