"""The service: configuration, the path of a photo, its processes and the commands."""

from uncnn.plugins.telemetry import switch_off

switch_off()
