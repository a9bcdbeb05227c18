"""Watching folders: events are hints, a reconciling scan is the truth, a file is taken once it has settled."""
