"""Attacks, one file a paper."""
