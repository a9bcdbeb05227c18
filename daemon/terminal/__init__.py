"""What commands that work on photos say on a terminal: progress, a line a photo, tables of verdicts."""
