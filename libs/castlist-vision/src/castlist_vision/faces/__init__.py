"""Faces in frames: found, followed, cut out and encoded."""
