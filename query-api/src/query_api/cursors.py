"""Cursors: where a page ended, as (sort value, id). Rows inserted meanwhile neither repeat nor hide one."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from castlist.http import FieldError, Problem
from castlist.ports import Document


@dataclass(frozen=True)
class Order:
    """Rows in the order of `field`, then `_id`; `direction` 1 or -1 for both."""

    field: str
    direction: int = 1

    @property
    def sort(self) -> list[tuple[str, int]]:
        """As the database takes it."""
        if self.field == "_id":
            return [("_id", self.direction)]
        return [(self.field, self.direction), ("_id", self.direction)]

    def after(self, cursor: str | None) -> Document:
        """The filter for the rows behind `cursor`. Problem 422 if it is not one of this order."""
        if cursor is None:
            return {}
        value, last = self._read(cursor)
        beyond = "$gt" if self.direction > 0 else "$lt"
        if self.field == "_id":
            return {"_id": {beyond: last}}
        tie = {self.field: value, "_id": {beyond: last}}
        if value is None:  # null comes before every text, and compares with none
            return {"$or": [tie, {self.field: {"$ne": None}}]} if self.direction > 0 else tie
        further: list[Document] = [{self.field: {beyond: value}}, tie]
        if self.direction < 0:
            further.append({self.field: None})
        return {"$or": further}

    def cursor(self, row: Mapping[str, Any]) -> str:
        """The cursor behind `row`."""
        value = row[self.field]
        text = value.isoformat() if isinstance(value, datetime) else value
        body = [self.field, self.direction, isinstance(value, datetime), text, row["_id"]]
        return base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip("=")

    def _read(self, cursor: str) -> tuple[Any, str]:
        try:
            raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            field, direction, is_instant, value, last = json.loads(raw)
            if (field, direction) != (self.field, self.direction) or not isinstance(last, str):
                raise ValueError("of another list")
            return (datetime.fromisoformat(value) if is_instant else value), last
        except (ValueError, TypeError, binascii.Error):
            errors = [FieldError(field="cursor", message="not a cursor of this list")]
            raise Problem(422, "The query parameters are not valid.", errors=errors) from None
