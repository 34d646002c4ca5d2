"""Hearing of what happens in a gallery."""
