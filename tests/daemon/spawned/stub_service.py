"""The service as a process of its own, with processes without networks: `python stub_service.py CONFIG`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

if __name__ == "__main__":
    from uncnn.daemon.service.alarm import hear_early

    hear_early()

    import stub_crew

    from uncnn.daemon.service import loop, workshop

    workshop.Crew = stub_crew.StubCrew
    from uncnn.plugins.api import UncnnError

    try:
        sys.exit(loop.run_service(Path(sys.argv[1])))
    except UncnnError as error:
        sys.exit(f"{error}")
