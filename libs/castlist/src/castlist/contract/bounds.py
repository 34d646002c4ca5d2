"""How large anything in the contract may be. What is larger is refused where it comes in; who would write it cuts it.

Wide enough for a day of video, 200 people, 50,000 tracks, and 500 people in one picture; narrow enough that no
document, message or sum outgrows what MongoDB, Kafka and JSON take.
"""

WHOLE = 2**53 - 1
"""Whole numbers end where JSON's readers and MongoDB's int64 still agree on them."""
LARGEST_EVENT = 1_048_576
"""Bytes of an event as JSON, not compressed."""
LARGEST_DOCUMENT = 16 * 1024 * 1024
"""Bytes of a document in MongoDB."""
LONGEST_VIDEO = 48 * 3600.0
LAST_SECOND = LONGEST_VIDEO
"""Moments of a video lie within so many seconds of its start."""
LONGEST_MESSAGE = 2_000
"""Characters of what is said to people."""
MOST_CHUNKS = 20_000
"""Of a video. The planner makes one of about 15 seconds."""
MOST_STRETCHES = 1_000
"""Of a video: so many files may have been joined in it."""
MOST_HOLES = 1_000
"""Of a chunk."""
MOST_SHIFT = 1e13
"""Seconds between the clock of a container and that of the video."""
MOST_PARTS = 1_000
"""Of a chunk's result. A part has about half a megabyte."""
MOST_TRACKS = 100_000
"""Of a video."""
MOST_RESULT_BYTES = 2 * 1024 * 1024 * 1024
"""Of all results of a video, as JSON."""
MOST_SIGHTINGS = 10_000
"""Of a track, which ends with its chunk. Workers tell of 2,000 at most."""
MOST_FACES = 100
"""Of a track, with their encodings."""
MOST_WARNINGS = 200
"""Of a task, or of one event."""
MOST_REASONS = 64
"""Why faces were left out, with how many."""
MOST_LINK_VIDEOS = 100
"""Named of a weak link."""
MOST_LEFT_OUT = 1_000
"""Of a video, or of a chunk: faces that nobody is made of and that are told with their places. All are counted."""
MOST_SEGMENTS = 10_000
"""Of an appearance."""
MOST_PERSONS = 2_000
"""Video persons in an appearance."""
MOST_PIXELS = 1_000_000
"""Of a frame, in one direction."""
FASTEST = 1_000_000.0
"""Frames a second."""
ENCODING_LIMIT = 100.0
"""No number of an encoding is further from 0. The encoder's are below 1."""
MOST_TAGS = 50
"""Of a profile."""
MOST_PICTURES = 20
"""That somebody is enrolled with at once."""
MOST_NAMED = 2_000
"""Profiles, videos or tracks that one command names."""
