"""Cursors: where a page ended, as (sort value, id). Rows inserted meanwhile neither repeat nor hide one."""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson

from castlist.api.problems import ProblemField
from castlist.contract.bounds import WHOLE
from castlist.service.problems import Problem
from castlist.store.query import ANY, Sort, Where, above, at_least, below, eq, name_of
from castlist.store.records.record import Record

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Order:
    """Records in the order of a field (instants, text or whole numbers), then of their ids; `direction` 1 or -1 for
    both. `lowest`: where the field may be null, which comes before everything else, the least that is not."""

    member: Any
    direction: int = 1
    lowest: Any = None

    @property
    def _by_id(self) -> bool:
        return name_of(self.member) == "_id"

    @property
    def sort(self) -> list[Sort]:
        """As a table takes it."""
        ids = ("_id", self.direction)
        return [ids] if self._by_id else [(name_of(self.member), self.direction), ids]

    def after(self, cursor: str | None) -> list[Where]:
        """Filters for the records behind `cursor`, to be read one after the other: each is one stretch of an index.

        As one filter with $or, a database would read and throw away all records before the cursor. Problem 422 if the
        cursor is not one of this order.
        """
        if cursor is None:
            return [ANY]
        value, last = self._read(cursor)
        beyond = above if self.direction > 0 else below
        behind = beyond(Record.id, last)
        if self._by_id:
            return [behind]
        ties = eq(self.member, value) & behind
        # Null comes before every value, and compares with none.
        if value is None:
            return [ties, at_least(self.member, self.lowest)] if self.direction > 0 else [ties]
        rest = [eq(self.member, None)] if self.lowest is not None and self.direction < 0 else []
        return [ties, beyond(self.member, value), *rest]

    def cursor(self, record: Record) -> str:
        """The cursor behind `record`."""
        value = getattr(record, self.member.__name__)
        is_instant = isinstance(value, datetime)
        told = value.isoformat() if is_instant else value
        body = [name_of(self.member), self.direction, is_instant, told, record.id]
        return base64.urlsafe_b64encode(orjson.dumps(body)).decode().rstrip("=")

    def in_order(self, records: Iterable[R], cursor: str | None = None) -> list[R]:
        """Those of these records that are behind the cursor, sorted; for so few that no index is needed."""
        ordered = sorted(records, key=self._key, reverse=self.direction < 0)
        if cursor is None:
            return ordered
        value, last = self._read(cursor)
        place = _sortable(value, last)
        try:
            return [
                one for one in ordered if (self._key(one) > place if self.direction > 0 else self._key(one) < place)
            ]
        except TypeError:
            raise _no_cursor() from None

    def _key(self, record: Record) -> tuple[Any, ...]:
        return _sortable(getattr(record, self.member.__name__), record.id)

    def _read(self, cursor: str) -> tuple[datetime | str | int | None, str]:
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            field, direction, is_instant, value, last = orjson.loads(raw)
            # Nothing but text and numbers may come from outside: it goes into a filter.
            if (field, direction) != (name_of(self.member), self.direction) or not isinstance(last, str):
                raise ValueError("of another list")
            if is_instant:
                return datetime.fromisoformat(value).astimezone(UTC), last
            if not isinstance(value, str | int | None) or (isinstance(value, int) and abs(value) > WHOLE):
                raise ValueError("not a value")
            return value, last
        except (ValueError, TypeError, OverflowError, binascii.Error):
            raise _no_cursor() from None


def _sortable(value: Any, id: str) -> tuple[Any, ...]:
    return (0, id) if value is None else (1, value, id)


def _no_cursor() -> Problem:
    errors = [ProblemField(field="cursor", message="not a cursor of this list")]
    return Problem(422, "The query parameters are not valid.", errors=errors)
