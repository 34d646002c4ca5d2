"""What happens to one video, up to its people."""
