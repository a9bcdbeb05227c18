"""`audit --judge` as a process of its own, with processes without networks: `python stub_audit.py CONFIG`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

if __name__ == "__main__":
    import stub_engine

    from uncnn.daemon.audit import progress
    from uncnn.daemon.commands import audit

    audit.ProcessEngine = stub_engine.StubEngine
    progress.EVERY_SECONDS = 0.0
    wanted = audit.Wanted((), None, judge=True, limit=None, anew=False, as_json=True)
    sys.exit(audit.audit_photos(Path(sys.argv[1]), wanted))
