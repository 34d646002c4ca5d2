"""Child processes that are given jobs under limits, and that can be killed at any moment."""
