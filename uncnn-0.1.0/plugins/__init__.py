"""Attacks, detectors and what they share: geometry, recognisers, budgets."""

from uncnn.plugins.telemetry import switch_off

switch_off()  # before anything here can import a library that sends some
