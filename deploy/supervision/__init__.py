"""Running a stack: its processes, its home, its state."""
