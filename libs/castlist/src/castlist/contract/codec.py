"""Bytes to events and back."""

import json
from typing import Any

from pydantic import ValidationError

from castlist.contract.errors import PermanentError
from castlist.contract.events import Event
from castlist.contract.topics import Topic


class UndecodableMessageError(PermanentError):
    """A message that no retry will make readable."""


def encode(event: Event) -> bytes:
    """One line of JSON, UTF-8."""
    return event.model_dump_json().encode()


def decode(topic: Topic, value: bytes | None) -> Event:
    """The event in `value`; UndecodableMessageError if `topic` carries no such event, or in no version we know."""
    try:
        body: Any = json.loads(value or b"")
    except ValueError as error:
        raise UndecodableMessageError(f"not JSON: {error}") from None
    except RecursionError:
        raise UndecodableMessageError("not JSON that can be read: nested too deeply") from None
    if not isinstance(body, dict):
        raise UndecodableMessageError("not a JSON object")
    name, version = body.get("event"), body.get("version")
    kind = next((kind for kind in topic.events if kind.__name__ == name), None)
    if kind is None:
        raise UndecodableMessageError(f"{topic.name} carries no event {name!r}")
    known = kind.model_fields["version"].default
    if version != known:
        raise UndecodableMessageError(f"{name} version {version!r} is unknown; this build reads version {known}")
    try:
        return kind.model_validate_json(value or b"")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise UndecodableMessageError(
            f"invalid {name}: {where}: {first['msg']} ({error.error_count()} errors)"
        ) from None
