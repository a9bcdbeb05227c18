"""`uncnn-daemon inspect`: what a photo is, which faces it shows, and what its file says besides."""
