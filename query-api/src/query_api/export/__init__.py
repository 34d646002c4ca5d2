"""A gallery taken along: its facts and decisions, and the pictures that belong to them, as one archive."""
