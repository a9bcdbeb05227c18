"""Which models there are: the catalog, what is installed, what is pinned, and which of them a run uses."""
