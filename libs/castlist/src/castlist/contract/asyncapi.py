"""The contract as documents: a JSON Schema for each event, and an AsyncAPI 3 document.

All of it follows from events.py and topics.py; `docs.generate` writes it down.
"""

import inspect
from typing import Any

from castlist.contract.events import Event
from castlist.contract.topics import DEAD_RETENTION, TOPICS, Topic

DIALECT = "http://json-schema.org/draft-07/schema#"
_FORMAT = "application/schema+json;version=draft-07"
# What every dead letter carries beside the raw message; see `Publisher.publish_dead_letter`.
_DEAD_HEADERS = {
    "error": "why it could not be read",
    "topic": "where it lay",
    "partition": "where it lay",
    "offset": "where it lay",
    "truncated_from": "its length in bytes, where it was too large to be kept whole",
}


def events() -> dict[str, type[Event]]:
    """Every event that some topic carries, by name."""
    return {kind.__name__: kind for topic in TOPICS for kind in topic.events}


def json_schema(kind: type[Event]) -> dict[str, Any]:
    """What a message of this kind has to be, so that it is read and not dead-lettered."""
    schema = kind.model_json_schema()
    # Models fill these in where they are built; on the wire a message without them says nothing.
    required = ["event", "version", *(name for name in schema["required"] if name not in ("event", "version"))]
    return {"$schema": DIALECT, "$id": f"{kind.__name__}.json", **schema, "required": required}


def document() -> dict[str, Any]:
    """The AsyncAPI 3 document. Payloads refer to the schema files beside it, in `events/`."""
    messages = {name: _message(name, kind) for name, kind in events().items()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Castlist",
            "version": "1.0.0",
            "description": "Every topic and event between Castlist's services, and between Castlist and other systems. "
            "Messages are JSON, delivered at least once; `event_id` is derived, so that a repeated one can be dropped. "
            "Unknown fields are ignored; an unknown event or version, or an invalid body, goes to the topic's dead "
            "letters.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {"host": "127.0.0.1:9092", "protocol": "kafka", "description": "KAFKA_BOOTSTRAP says where."}
        },
        "channels": {_id(name): channel for topic in TOPICS for name, channel in _channels(topic).items()},
        "operations": {name: operation for topic in TOPICS for name, operation in _operations(topic).items()},
        "components": {"messages": {**messages, "DeadLetter": _dead_letter()}},
    }


def _id(topic: str) -> str:
    first, *rest = topic.split(".")
    return first + "".join(word.capitalize() for word in rest)


def _message(name: str, kind: type[Event]) -> dict[str, Any]:
    topic = next(topic for topic in TOPICS if kind in topic.events)
    return {
        "name": name,
        "title": name,
        "summary": _summary(kind),
        "contentType": "application/json",
        "payload": {"schemaFormat": _FORMAT, "schema": {"$ref": f"./events/{name}.json"}},
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.keyed_by}, "bindingVersion": "0.5.0"}},
    }


def _summary(kind: type[Event]) -> str:
    own = inspect.cleandoc(kind.__doc__ or "") if "__doc__" in vars(kind) and kind.__doc__ else ""
    return own.split("\n\n")[0].replace("\n", " ") or kind.__name__


def _dead_letter() -> dict[str, Any]:
    headers = {name: {"type": "string", "description": meaning} for name, meaning in _DEAD_HEADERS.items()}
    return {
        "name": "DeadLetter",
        "title": "DeadLetter",
        "summary": "A message that could not be read or worked on: its raw bytes, with the reason in the headers.",
        "contentType": "application/octet-stream",
        "headers": {"type": "object", "properties": headers, "required": ["error", "topic", "partition", "offset"]},
        "payload": {"description": "as it lay in its topic"},
    }


def _channels(topic: Topic) -> dict[str, dict[str, Any]]:
    own = [kind.__name__ for kind in topic.events]
    return {
        topic.name: _channel(topic.name, f"Keyed by {topic.keyed_by}.", own, topic.partitions, topic.retention),
        topic.dead: _channel(
            topic.dead, f"What could not be read from {topic.name}.", ["DeadLetter"], 1, DEAD_RETENTION
        ),
    }


def _channel(name: str, description: str, messages: list[str], partitions: int, retention: int) -> dict[str, Any]:
    return {
        "address": name,
        "description": description,
        "messages": {message: {"$ref": f"#/components/messages/{message}"} for message in messages},
        "bindings": {
            "kafka": {
                "topic": name,
                "partitions": partitions,
                "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": retention * 1000},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operations(topic: Topic) -> dict[str, dict[str, Any]]:
    sent = {f"{_slug(who)}-sends-{topic.name}": ("send", who, topic.name) for who in topic.producers}
    read = {f"{_slug(who)}-reads-{topic.name}": ("receive", who, topic.name) for who in topic.consumers}
    return {
        name: {"action": action, "channel": {"$ref": f"#/channels/{_id(where)}"}, "tags": [{"name": _slug(who)}]}
        for name, (action, who, where) in {**sent, **read}.items()
    }


def _slug(who: str) -> str:
    return who.replace(" ", "-")
