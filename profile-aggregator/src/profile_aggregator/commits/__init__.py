"""Committing people to galleries."""
