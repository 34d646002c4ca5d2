"""A picture as a viewer sees it, and what changed from one to the next."""
