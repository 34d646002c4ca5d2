"""What the services answer over HTTP."""
