"""From the bytes of a picture to the faces in it."""
