"""`audit`: whether what was released still stands as it was verified, and would pass today. Nothing is changed by it."""
