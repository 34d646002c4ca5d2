"""The people of one video, from its tracks."""
