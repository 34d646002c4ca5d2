"""Files that are put in: which they are, and how that goes."""
