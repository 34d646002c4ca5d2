"""A gallery as one file, to be taken along: docs/archive.md says what is in it."""
