"""Of each cluster the others that are nearest to it, and what they say of how far off strangers are."""
