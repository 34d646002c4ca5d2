"""Cursors: where a page ended, as (sort value, id). Rows inserted meanwhile neither repeat nor hide one."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from castlist.ports.documents import Document
from castlist.service.problems import FieldError, Problem


@dataclass(frozen=True)
class Order:
    """Rows in the order of `field` (instants, or text or null), then `_id`; `direction` 1 or -1 for both."""

    field: str
    direction: int = 1

    @property
    def sort(self) -> list[tuple[str, int]]:
        """As the database takes it."""
        if self.field == "_id":
            return [("_id", self.direction)]
        return [(self.field, self.direction), ("_id", self.direction)]

    def after(self, cursor: str | None) -> list[Document]:
        """Filters for the rows behind `cursor`, to be read one after the other: each is one stretch of an index.

        As one filter with $or, a database would read and throw away all rows before the cursor. Problem 422 if the
        cursor is not one of this order.
        """
        if cursor is None:
            return [{}]
        value, last = self._read(cursor)
        beyond = "$gt" if self.direction > 0 else "$lt"
        if self.field == "_id":
            return [{"_id": {beyond: last}}]
        ties = {self.field: value, "_id": {beyond: last}}
        if value is not None:
            return [ties, {self.field: {beyond: value}}]
        # Null comes before every text, and compares with none.
        return [ties, {self.field: {"$gte": ""}}] if self.direction > 0 else [ties]

    def cursor(self, row: Mapping[str, Any]) -> str:
        """The cursor behind `row`."""
        value = row[self.field]
        is_instant = isinstance(value, datetime)
        body = [self.field, self.direction, is_instant, value.isoformat() if is_instant else value, row["_id"]]
        return base64.urlsafe_b64encode(orjson.dumps(body)).decode().rstrip("=")

    def _read(self, cursor: str) -> tuple[datetime | str | None, str]:
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            field, direction, is_instant, value, last = orjson.loads(raw)
            # Nothing but text may come from outside: it goes into a filter.
            if (field, direction) != (self.field, self.direction) or not isinstance(last, str):
                raise ValueError("of another list")
            if is_instant:
                return datetime.fromisoformat(value).astimezone(UTC), last
            if not isinstance(value, str | None):
                raise ValueError("not a value")
            return value, last
        except (ValueError, TypeError, OverflowError, binascii.Error):
            errors = [FieldError(field="cursor", message="not a cursor of this list")]
            raise Problem(422, "The query parameters are not valid.", errors=errors) from None
