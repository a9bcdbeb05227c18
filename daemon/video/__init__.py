"""Video files: read, followed, changed and judged. Nothing here is imported before a clip is named."""
