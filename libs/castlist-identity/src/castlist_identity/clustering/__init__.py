"""Average link, exactly, and who is near whom: for tracks, persons and clusters alike."""
