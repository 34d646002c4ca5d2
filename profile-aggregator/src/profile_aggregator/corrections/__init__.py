"""What people put right by hand: what it asks of a gallery."""
