"""Finding people by a picture: what is installed with the extra `search`."""
