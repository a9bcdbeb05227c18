"""The heavy work on another machine of one's own: faces go there, and what is done to them comes back."""
