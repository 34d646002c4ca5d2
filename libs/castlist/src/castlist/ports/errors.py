"""What the ports raise. What may heal by waiting is `UnavailableError`; the rest are bugs or the caller's mistakes."""


class UnavailableError(Exception):
    """A server is away or overloaded: try again later, nothing is known to be wrong with the request."""


class AlreadyExistsError(Exception):
    """A document with this `_id` (or another unique key) is there already."""


class TooLargeError(Exception):
    """What a server takes neither now nor later; less may fit."""


class MessageTooLargeError(TooLargeError):
    """A message over the log's limit."""


class DocumentTooLargeError(TooLargeError):
    """A document over MongoDB's limit; the text names its collection and its `_id`."""


class TooLongError(TooLargeError):
    """A transaction took longer than MongoDB lets one take, though no server was away."""


class ObjectMissingError(Exception):
    """No object under this key, or not the version that was asked for."""


class ObjectForbiddenError(ObjectMissingError):
    """There may be one, in a bucket of another system that does not let us read it."""
