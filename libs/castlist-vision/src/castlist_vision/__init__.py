"""From the bytes of a video to the faces in it. Pure: no server, no clock."""
