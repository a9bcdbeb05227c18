"""A camera or a video file, frame by frame: faces are hidden, or changed by a mask of their own, before it goes on."""
