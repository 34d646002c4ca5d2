"""Telling others what happens in a gallery: its feed, watches on people, and webhooks."""
