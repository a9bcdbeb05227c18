"""Thresholds and accuracy of a recogniser, measured on a folder of faces."""
