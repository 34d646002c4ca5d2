"""Objects that were written before anything refers to them."""

from castlist.ports.errors import UnavailableError
from castlist.store.query import eq, with_id
from castlist.store.records.videos import UploadRecord
from castlist.store.store import Store

GIVEN_UP = "the upload took so long that it was given up"


async def keep_upload(transaction: Store, key: str) -> None:
    """Something refers to the object once the transaction is committed, and it is no upload any more. UnavailableError
    if it was given up: the sweep is taking it away."""
    if not await transaction.uploads.delete(with_id(key) & eq(UploadRecord.condemned, False)):
        raise UnavailableError(GIVEN_UP)
