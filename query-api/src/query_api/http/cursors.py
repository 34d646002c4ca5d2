"""Cursors: where a page ended, as (sort value, id). Rows inserted meanwhile neither repeat nor hide one."""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from castlist.api.resources import ProblemField
from castlist.service.problems import Problem
from castlist.store.query import ANY, Sort, Where, above, at_least, below, eq, name_of
from castlist.store.records import Record


@dataclass(frozen=True)
class Order:
    """Records in the order of a field (instants, or text or null), then of their ids; `direction` 1 or -1 for both."""

    member: Any
    direction: int = 1

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
        if value is not None:
            return [ties, beyond(self.member, value)]
        # Null comes before every text, and compares with none.
        return [ties, at_least(self.member, "")] if self.direction > 0 else [ties]

    def cursor(self, record: Record) -> str:
        """The cursor behind `record`."""
        value = getattr(record, self.member.__name__)
        is_instant = isinstance(value, datetime)
        told = value.isoformat() if is_instant else value
        body = [name_of(self.member), self.direction, is_instant, told, record.id]
        return base64.urlsafe_b64encode(orjson.dumps(body)).decode().rstrip("=")

    def _read(self, cursor: str) -> tuple[datetime | str | None, str]:
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            field, direction, is_instant, value, last = orjson.loads(raw)
            # Nothing but text may come from outside: it goes into a filter.
            if (field, direction) != (name_of(self.member), self.direction) or not isinstance(last, str):
                raise ValueError("of another list")
            if is_instant:
                return datetime.fromisoformat(value).astimezone(UTC), last
            if not isinstance(value, str | None):
                raise ValueError("not a value")
            return value, last
        except (ValueError, TypeError, OverflowError, binascii.Error):
            errors = [ProblemField(field="cursor", message="not a cursor of this list")]
            raise Problem(422, "The query parameters are not valid.", errors=errors) from None
