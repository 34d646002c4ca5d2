"""Messages that are legal in Kafka and hostile to whoever reads them: each is a dead letter, and the others go on."""

import uuid

import pytest
from aiokafka import AIOKafkaProducer

from castlist.contract.codec import encode
from castlist.contract.events import ChunkFailed, FacesEncoded
from testkit.api import new_gallery
from testkit.database import Database, are_done
from testkit.eventually import eventually
from testkit.examples import example
from testkit.running_stack import RunningStack, connected, whole_topic
from testkit.synthetic import SyntheticVideo, submit

pytestmark = [pytest.mark.stack, pytest.mark.services]


async def test_messages_that_compressed_well_stop_nobody(stack: RunningStack, database: Database) -> None:
    """17 MB and 200 MB of gzip, times of 1e308 and 20 million parts, on each topic of the aggregator: dead letters with
    the reason, and videos of the same partitions are done."""
    gallery, aggregator = new_gallery("hostile"), stack.pid("profile-aggregator")
    mark = uuid.uuid4().hex
    failed = encode(example(ChunkFailed, event_id=mark))
    hostile = [
        failed[:-1] + b', "more": "' + b"a" * 17_000_000 + b'"}',
        failed[:-1] + b', "more": "' + b"a" * 200_000_000 + b'"}',
        failed[:-1] + b', "more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        encode(example(FacesEncoded)).replace(b'"time":1.5', b'"time":1e308'),
        encode(example(FacesEncoded)).replace(b'"parts":1', b'"parts":20000000'),
    ]
    videos = [SyntheticVideo(f"{gallery}-{n}", gallery, [[1], [2]]) for n in range(8)]
    producer = AIOKafkaProducer(
        bootstrap_servers=stack.kafka_bootstrap,
        compression_type="gzip",
        max_request_size=2**30,
        request_timeout_ms=60_000,
    )
    await producer.start()
    try:
        for value in hostile:
            for partition in range(4):
                await producer.send_and_wait("face.encodings", value, mark.encode(), partition=partition)
    finally:
        await producer.stop()
    async with connected(stack) as (store, publisher):
        for video in videos:
            await submit(store, publisher, video)
    eventually(lambda: are_done(database, gallery, len(videos)))
    letters = [m for m in await whole_topic(stack, "face.encodings.dead") if m.key == mark.encode()]
    reasons = [dict(letter.headers)["error"].decode() for letter in letters]
    assert len(letters) == 4 * len(hostile)
    assert sum("too large" in reason for reason in reasons) == 8
    assert stack.pid("profile-aggregator") == aggregator
