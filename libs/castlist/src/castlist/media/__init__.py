"""Which files are read as videos: one list for whoever takes them in, looks for them, or opens them."""
