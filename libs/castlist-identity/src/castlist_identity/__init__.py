"""From faces to people: within a video, and across the videos of a gallery. Pure: no server, no clock."""
