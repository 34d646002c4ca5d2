"""Castlist's Python client and its command line."""
