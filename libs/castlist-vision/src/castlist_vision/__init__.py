"""From the bytes of a video, or of a picture, to the faces in it. Pure: no server, no clock."""
