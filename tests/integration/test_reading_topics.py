"""How the tests read a topic: a test that finds a record missing must be able to believe it."""

import uuid
from collections.abc import AsyncIterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from testkit.running_stack import RunningStack, connected, whole_topic

pytestmark = pytest.mark.stack


@pytest.fixture
async def topic(stack: RunningStack) -> AsyncIterator[str]:
    """A topic of the test's own."""
    name = f"test-{uuid.uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 4, 1)])
        yield name
        await admin.delete_topics([name])
    finally:
        await admin.close()


async def test_all_of_a_topic_is_read_every_time(stack: RunningStack, topic: str) -> None:
    """However the broker's answers meet what the reader asks next: once in some twenty reads they meet badly."""
    values = {b"%d" % number for number in range(200)}
    async with connected(stack) as (_, publisher):
        await publisher.publish_entries([(topic, value, value) for value in sorted(values)])
    for _ in range(40):
        assert {record.value for record in await whole_topic(stack, topic)} == values
