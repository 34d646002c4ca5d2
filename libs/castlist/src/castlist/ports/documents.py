"""The documents a service keeps: the part of MongoDB that it relies on."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Document = dict[str, Any]
Where = Mapping[str, Any]
Change = Mapping[str, Any]


class Documents(Protocol):
    """The part of MongoDB we rely on. Every write is majority-journaled before it returns.

    A document that would have more than LARGEST_DOCUMENT bytes is refused with DocumentTooLargeError.

    `where` is a MongoDB filter of equality, $in, $nin, $ne, $gt, $gte, $lt, $lte, $exists, $or and $and; `change` an
    update of $set, $unset, $setOnInsert, $max, $min, $inc, $addToSet, $pull and $push, on dotted paths.
    """

    async def get(self, collection: str, id: str) -> Document | None: ...

    async def find(
        self,
        collection: str,
        where: Where,
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
        fields: Sequence[str] = (),
    ) -> list[Document]:
        """Matching documents; `limit` 0 is all, `fields` empty is whole documents (`_id` always comes)."""
        ...

    async def count(self, collection: str, where: Where) -> int: ...

    async def count_by(self, collection: str, where: Where, field: str) -> dict[Any, int]:
        """How many matching documents there are for each value of `field`; values that none has are left out."""
        ...

    async def sum_of(self, collection: str, where: Where, field: str) -> float:
        """What the numbers in `field` of matching documents add up to; those that have none there add nothing."""
        ...

    async def insert(self, collection: str, document: Document) -> None:
        """AlreadyExistsError if the `_id` or a unique key is taken; TooLargeError, as of any write, past 16 MB."""
        ...

    async def insert_many(self, collection: str, documents: Sequence[Document]) -> None:
        """All or AlreadyExistsError (outside a transaction, those before the offending one stay)."""
        ...

    async def update(self, collection: str, where: Where, change: Change, *, upsert: bool = False) -> Document | None:
        """Change one matching document and return it as it is afterwards; None if there is none."""
        ...

    async def update_many(self, collection: str, where: Where, change: Change) -> int: ...

    async def update_each(self, collection: str, changes: Mapping[str, Change]) -> None:
        """A change for each `_id`, in one call; those that are not there are passed over."""
        ...

    async def replace(self, collection: str, document: Document) -> None:
        """Put `document` in the place of the one with its `_id`, or insert it."""
        ...

    async def replace_many(self, collection: str, documents: Sequence[Document]) -> None: ...

    async def delete(self, collection: str, where: Where) -> int: ...

    async def transaction(self, body: Callable[["Documents"], Awaitable[T]]) -> T:
        """Run `body` on a view whose writes happen together or not at all; on a write conflict it is run again, whole.

        An exception from `body` undoes everything and is raised; so do TooLargeError, where a document or all of it is
        too large, and TooLongError. A body that catches AlreadyExistsError must not go on: the transaction is over by
        then. Not to be nested.
        """
        ...

    def changes(self, collection: str) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """The `_id` of each document that is written or removed, once a majority has it, from when this was entered.

        Entering and waiting raise UnavailableError where MongoDB is away; what changes meanwhile is not told later.
        """
        ...

    async def ping(self) -> None:
        """UnavailableError if a majority write cannot be expected to work now."""
        ...
