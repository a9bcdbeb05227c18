"""Whole archives: planned into a list, worked in shares on any number of machines, each photo done exactly once."""
