"""Attacks, detectors and what they share: geometry, recognisers, budgets."""
