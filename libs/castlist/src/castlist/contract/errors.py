"""Errors that no retry mends."""


class PermanentError(Exception):
    """A message that will be refused however often it is tried; the text is the reason in its dead letter's headers.

    Raised by a handler it means: dealt with, and to lie among the dead letters for an operator to see.
    """
