"""What people decided by hand, and what follows from all of it."""
