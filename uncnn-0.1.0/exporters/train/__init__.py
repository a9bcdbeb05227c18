"""How the embedded pack is trained: networks of our own, taught by ones whose licence permits it."""
