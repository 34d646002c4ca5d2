"""Worker slots: each a process that can be killed."""
