"""Galleries: how far they are, what was changed in them, and taking them along."""
