"""`python -m castlist.admin init`: topics, bucket, indexes and migrations, made where missing.

Run it before the services.
"""

import asyncio
import sys

from castlist.adapters import mongo, s3
from castlist.adapters.kafka.topics import TopicSettings, create_topics, topics_missing
from castlist.clock import now_utc
from castlist.service.json_logging import configure
from castlist.service.settings import Settings
from castlist.store import collections, kafka_topics, migrations
from castlist.store.store import Store


async def ensure_topics(settings: Settings, store: Store) -> list[str]:
    """Create the topics that are missing, and remember that some were: what they held is to be announced again."""
    missing = await missing_topics(settings)
    if missing:
        await kafka_topics.note_created(
            store
        )  # first: to have noted what then fails costs no more than an announcement
    await create_topics(settings.kafka_bootstrap, _topic_settings(settings))
    return missing


async def missing_topics(settings: Settings) -> list[str]:
    """The names of the topics that are not there. Besides at the first start, that is a Kafka that lost its data."""
    return await topics_missing(settings.kafka_bootstrap, _topic_settings(settings))


def _topic_settings(settings: Settings) -> TopicSettings:
    return TopicSettings(
        settings.chunk_partitions, settings.castlist_prefix, settings.kafka_replicas, settings.kafka_min_insync
    )


async def init(settings: Settings) -> None:
    """Prepare the servers; safe to repeat, also beside running services. UnavailableError if one of them is away."""
    async with s3.connect(*settings.s3) as objects:
        await objects.create_bucket()
    documents = mongo.connect(settings.mongo_url, settings.database)
    store = Store(documents)
    try:
        await collections.create(documents)
        await migrations.migrate(documents, now_utc())
        await ensure_topics(settings, store)
    finally:
        documents.close()


def main() -> None:
    """Entry point."""
    if sys.argv[1:] != ["init"]:
        sys.exit("usage: python -m castlist.admin init")
    settings = Settings()
    configure("admin", settings.log_level)
    asyncio.run(init(settings))


if __name__ == "__main__":
    main()
