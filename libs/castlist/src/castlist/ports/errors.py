"""What the ports raise. What may heal by waiting is `Unavailable`; everything else is a bug or the caller's mistake."""


class Unavailable(Exception):
    """A server is away or overloaded: try again later, nothing is known to be wrong with the request."""


class AlreadyExists(Exception):
    """A document with this `_id` (or another unique key) is there already."""


class TooLarge(Exception):
    """A message that the log does not take, now or later."""


class ObjectMissing(Exception):
    """No object under this key, or not the version that was asked for."""
