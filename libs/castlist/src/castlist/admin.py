"""`python -m castlist.admin init`: topics, bucket, indexes and migrations, made where missing.

Run it before the services.
"""

import asyncio
import sys

from castlist.adapters import mongo, s3
from castlist.adapters.kafka.topics import create_topics
from castlist.clock import now_utc
from castlist.ports.documents import Documents
from castlist.service.json_logging import configure
from castlist.service.settings import Settings
from castlist.store import collections, migrations


async def ensure_topics(settings: Settings, documents: Documents) -> list[str]:
    """Create the topics that are missing, and remember that some were: what they held is to be announced again."""
    created = await create_topics(settings.kafka_bootstrap, chunk_partitions=settings.chunk_partitions)
    if created:
        change = {"$inc": {"topics_created": len(created), "creations": 1}}
        await documents.update(collections.OWNERS, {"_id": collections.KAFKA_OWNER}, change, upsert=True)
    return created


async def creations(documents: Documents) -> int:
    """How often topics had to be created: once, and once more whenever Kafka lost some."""
    known = await documents.get(collections.OWNERS, collections.KAFKA_OWNER)
    return int(known.get("creations", 0)) if known else 0


async def init(settings: Settings) -> None:
    """Prepare the servers; safe to repeat, also beside running services. Unavailable if one of them is away."""
    async with s3.connect(*settings.s3) as objects:
        await objects.create_bucket()
    documents = mongo.connect(settings.mongo_url, settings.mongo_database)
    try:
        await collections.create(documents)
        await migrations.migrate(documents, now_utc())
        await ensure_topics(settings, documents)
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
