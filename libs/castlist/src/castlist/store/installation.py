"""Which installation this is: what tells archives of our own galleries from those of others."""

import uuid

from castlist.store.query import set_once
from castlist.store.records.installation import InstallationRecord
from castlist.store.store import Store

_ID = "castlist"


async def installation(store: Store) -> str:
    """Its name, the same one for ever; drawn when it is asked for first."""
    known = await store.installation.get(_ID)
    if known is None:
        known = await store.installation.upsert(_ID, set_once(InstallationRecord.name, str(uuid.uuid4())))
    return known.name
