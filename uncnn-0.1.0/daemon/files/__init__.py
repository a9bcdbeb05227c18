"""Files in and out: safe opening, the private spool, releasing without overwriting, uncnn's own folders."""
