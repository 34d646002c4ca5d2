"""What the ports raise. What may heal by waiting is `UnavailableError`; the rest are bugs or the caller's mistakes."""


class UnavailableError(Exception):
    """A server is away or overloaded: try again later, nothing is known to be wrong with the request."""


class AlreadyExistsError(Exception):
    """A document with this `_id` (or another unique key) is there already."""


class MessageTooLargeError(Exception):
    """A message that the log does not take, now or later."""


class ObjectMissingError(Exception):
    """No object under this key, or not the version that was asked for."""
