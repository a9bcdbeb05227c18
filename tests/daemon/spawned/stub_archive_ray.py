"""`archive ray` as a process of its own, its actors without networks: `python stub_archive_ray.py PLAN ACTORS`."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

if __name__ == "__main__":
    from stub_archive_actor import StubActor

    from uncnn.daemon.archive import cluster
    from uncnn.daemon.commands import archive

    os.environ["PYTHONPATH"] = str(HERE)  # of the actors too

    def records(share, where):
        return cluster.records_by_ray(share, where, StubActor)

    archive.records_by_ray = records
    sys.exit(archive.ray_archive(sys.argv[1], cluster.Cluster(actors=int(sys.argv[2])), False, True))
