"""Which persons of a crowd are clustered: a sample that the set of persons chooses, whatever the order they came in.

Who was seen a hundred thousand times is not known better for it than who was seen two hundred times. So of persons who
are crowded together few are clustered, exactly; the others join what comes of that (followers.py).
"""

import hashlib

SAMPLE = 200
"""Persons as near as CROWDED and of lower rank from which on a person is not clustered but follows."""
CROWDED = 0.38
"""D within which persons crowd. The same whatever persons join up to, so that a sample outlasts that; below every step
of `auto`, and far below where strangers begin."""


def rank(key: str) -> int:
    """By chance, yet by nothing but the key: 63 bits."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest()) >> 1
