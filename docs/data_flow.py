"""Who writes and reads what: docs/data-flow.md, from the topics and the collections."""

from collections.abc import Iterator
from typing import Any

from castlist.contract.topics import DAY, DEAD_RETENTION, TOPICS, Topic
from castlist.store.collections import COLLECTIONS
from castlist.store.records.collection import Collection, Index

_OTHERS = "other systems"


def data_flow() -> str:
    """Two pictures and two tables."""
    return "\n".join(
        [
            "# Who writes and reads what",
            "",
            "Generated from `castlist.contract.topics` and `castlist.store.collections` by `python -m docs.generate`;",
            "drift fails a test.",
            "",
            "## Topics",
            "",
            "```mermaid",
            "flowchart LR",
            *_topics_picture(),
            "```",
            "",
            "| topic | key | events | written by | read by | partitions | kept |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *(f"| {' | '.join(_topic_row(topic))} |" for topic in TOPICS),
            "",
            "`CHUNK_PARTITIONS` sets the partitions of `video.chunks` when it is created. Each topic has a",
            f"`<topic>.dead` of one partition, kept {DEAD_RETENTION // DAY} days: the raw messages that its readers",
            "could not read or work on, with the reason and where they lay in the headers. Events carry references,",
            "encodings and small facts; videos and crops are in S3. The full description is",
            "[asyncapi.yaml](asyncapi.yaml).",
            "",
            "## Collections",
            "",
            "A thick arrow leads from the owner, a thin one from others that write it too, a dotted one to those that",
            "only read it. `admin` is `castlist.admin`, which prepares MongoDB and Kafka.",
            "",
            "```mermaid",
            "flowchart LR",
            *_collections_picture(),
            "```",
            "",
            "| collection | its ids | record | owner | also written by | read by | kept | grows with | indexes |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
            *(f"| {' | '.join(_collection_row(collection))} |" for collection in COLLECTIONS),
            "",
            "The records are in `castlist.store.records`; fields that a newer version wrote are passed over when a",
            "record is read, and stay when it is changed.",
            "",
        ]
    )


def _topics_picture() -> Iterator[str]:
    services = {who for topic in TOPICS for who in (*topic.producers, *topic.consumers)} - {_OTHERS}
    yield from (f"  {service}[{service}]" for service in sorted({*services, "query-api"}))
    yield from (f"  others([{_OTHERS}])", "  s3[(S3)]")
    yield from (f"  {_id(topic.name)}{{{{{topic.name}}}}}" for topic in TOPICS)
    for topic in TOPICS:
        yield from (f"  {_node(who)} --> {_id(topic.name)}" for who in topic.producers)
        yield from (f"  {_id(topic.name)} --> {_node(who)}" for who in topic.consumers)
    yield from ("  ingest -.->|videos| s3", "  s3 -.->|videos| frame-workers", "  frame-workers -.->|crops| s3")
    yield "  s3 -.->|crops, videos| query-api"


def _topic_row(topic: Topic) -> tuple[str, ...]:
    events = ", ".join(f"[{kind.__name__}](events/{kind.__name__}.json)" for kind in topic.events)
    written, read = ", ".join(topic.producers), ", ".join(topic.consumers)
    kept = f"{topic.retention // DAY} days"
    return f"`{topic.name}`", topic.keyed_by, events, written, read, str(topic.partitions), kept


def _collections_picture() -> Iterator[str]:
    for collection in COLLECTIONS:
        node = f"c_{collection.name}[({collection.name})]"
        yield f"  {collection.owner} ==> {node}"
        yield from (f"  {who} --> c_{collection.name}" for who in collection.writers)
        yield from (f"  c_{collection.name} -.-> {who}" for who in collection.readers)


def _collection_row(collection: Collection[Any]) -> tuple[str, ...]:
    return (
        f"`{collection.name}`",
        collection.id,
        f"`{collection.record.__name__}`",
        collection.owner,
        ", ".join(collection.writers) or "–",
        ", ".join(collection.readers) or "–",
        collection.kept,
        collection.growth,
        "; ".join(map(_index, collection.indexes)) or "–",
    )


def _index(index: Index) -> str:
    keys = ", ".join(name if direction > 0 else f"{name} ↓" for name, direction in index.keys)
    if "expireAfterSeconds" in index.options:
        return f"{keys} (removes what is too old)"
    return f"{keys} (some)" if "partialFilterExpression" in index.options else keys


def _id(topic: str) -> str:
    return topic.replace(".", "_")


def _node(who: str) -> str:
    return "others" if who == _OTHERS else who
