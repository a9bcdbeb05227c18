"""`uncnn-daemon compare`: two versions of a photo side by side, one after the other, and in figures."""
