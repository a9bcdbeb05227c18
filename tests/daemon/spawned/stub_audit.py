"""`audit --judge` as a process of its own, with processes without networks: `python stub_audit.py CONFIG`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

if __name__ == "__main__":
    import stub_crew

    from uncnn.daemon.audit import command, progress

    command.ProcessEngine = stub_crew.StubCrew
    progress.EVERY_SECONDS = 0.0
    wanted = command.Wanted((), None, judge=True, limit=None, anew=False, as_json=True)
    sys.exit(command.audit_photos(Path(sys.argv[1]), wanted))
