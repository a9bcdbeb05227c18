"""Train recognisers that withstand changes: batches of faces with an attack's change in some of them, and a loop."""

from uncnn.exporters.augment.learning import Lessons, learn
from uncnn.exporters.augment.networks import AugmentError, Embedding
from uncnn.exporters.augment.spoof import Spoof

__all__ = ["AugmentError", "Embedding", "Lessons", "Spoof", "learn"]
