"""Bytes to events and back, whatever version they were written in."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from pydantic import ValidationError

from castlist.contract.bounds import LARGEST_EVENT
from castlist.contract.errors import PermanentError
from castlist.contract.events import Event
from castlist.contract.topics import Topic
from castlist.contract.video_warnings import as_warning

E = TypeVar("E", bound=Event)
Body = dict[str, Any]


class UndecodableMessageError(PermanentError):
    """A message that no retry will make readable."""


def encode(event: Event) -> bytes:
    """One line of JSON, UTF-8."""
    return event.model_dump_json().encode()


def decode(topic: Topic, value: bytes | None) -> Event:
    """The event in `value`; UndecodableMessageError if `topic` carries no such event, or in no version we know."""
    if len(value or b"") > LARGEST_EVENT:
        # Kafka's limit is on what was compressed, which may be a thousand times smaller.
        raise UndecodableMessageError(f"too large: {len(value or b'')} bytes; at most {LARGEST_EVENT} are read")
    try:
        body: Any = json.loads(value or b"")
    except ValueError as error:
        raise UndecodableMessageError(f"not JSON: {error}") from None
    except RecursionError:
        raise UndecodableMessageError("not JSON that can be read: nested too deeply") from None
    if not isinstance(body, dict):
        raise UndecodableMessageError("not a JSON object")
    name = body.get("event")
    kind = next((kind for kind in topic.events if kind.__name__ == name), None)
    if kind is None:
        raise UndecodableMessageError(f"{topic.name} carries no event {name!r}")
    return _present(kind, body, value or b"")


def decode_stored(kind: type[E], text: str) -> E:
    """An event of this kind, kept as JSON, maybe by an earlier version; UndecodableMessageError as of `decode`."""
    body: Any = json.loads(text)
    return _present(kind, body, text)


def _warnings_as_objects(body: Body) -> Body:
    told = body.get("warnings")
    if not isinstance(told, list) or not all(isinstance(one, str) for one in told):
        return body
    return {**body, "warnings": [asdict(as_warning(one)) for one in told if one]}


def _as_it_is(body: Body) -> Body:
    return body


UPCASTERS: Mapping[tuple[str, int], Callable[[Body], Body]] = {
    ("VideoPlanned", 1): _warnings_as_objects,
    ("FacesEncoded", 1): _warnings_as_objects,
    ("PersonAppeared", 1): _as_it_is,
}
"""By event and version: what makes of such a body one of the version that follows."""


def _present(kind: type[E], body: Body, text: str | bytes) -> E:
    """The event in `text`, which says `body`, as its present version."""
    known: int = kind.model_fields["version"].default
    name, version = kind.__name__, body.get("version")
    older = isinstance(version, int) and version < known
    while isinstance(version, int) and (upcast := UPCASTERS.get((name, version))) is not None:
        version += 1
        body = {**upcast(body), "version": version}
    if version != known:
        raise UndecodableMessageError(f"{name} version {version!r} is unknown; this build reads version {known}")
    try:
        return kind.model_validate_json(json.dumps(body) if older else text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise UndecodableMessageError(
            f"invalid {name}: {where}: {first['msg']} ({error.error_count()} errors)"
        ) from None
