"""What is deleted or erased, and what goes with it."""
