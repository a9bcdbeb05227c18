"""Whom recognisers take a face for, and how sure they may be."""
