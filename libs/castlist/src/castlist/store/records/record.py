"""A document of MongoDB."""

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A document; `id` is its `_id`."""

    id: str = msgspec.field(name="_id")
