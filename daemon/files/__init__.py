"""Files in and out: safe opening, the private spool, publishing without overwriting, uncnn's own folders."""
