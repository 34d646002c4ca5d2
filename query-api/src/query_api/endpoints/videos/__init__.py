"""Videos, the work on each, and who is where in them."""
