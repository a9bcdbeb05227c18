"""Spoofed pictures to train on: recognisers that have seen changes like a cloak's learn to see through them."""
