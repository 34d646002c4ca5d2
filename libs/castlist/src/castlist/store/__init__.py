"""What lies in MongoDB."""
