"""What is done with a message."""
