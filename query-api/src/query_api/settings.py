"""What can be configured on query-api: what is shared, and no more."""

from castlist.service.settings import Settings as Shared


class Settings(Shared):
    """The shared settings."""
