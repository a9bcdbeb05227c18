"""What `uncnn-daemon models` does: list, pull, add, check, calibrate and remove recognisers."""
