"""The service: configuration, the path of a photo, its processes and the commands."""
