"""What `python3 deploy` can be told to do."""
