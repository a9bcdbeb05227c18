"""An actor of Ray that works with processes without networks."""

import stub_engine

from uncnn.daemon.archive.cluster import ArchiveActor
from uncnn.daemon.files.folders import data_dir


class StubActor(ArchiveActor):
    """Works as the real one does."""

    def engine(self, share, cluster, spool):
        return stub_engine.stub_for(share.plan.models, cluster.device, data_dir(), spool)
