"""Pictures for people: photos side by side, one after the other, and the change made large."""
