"""Networks whose checkpoints are read: as their authors named the parts, so that the keys fit."""
