"""query-api on documents, objects and topics in memory."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from castlist.adapters.memory import MemoryDocuments, MemoryLog, MemoryObjects
from castlist.clock import now_utc
from castlist.contract.topics import GALLERY_COMMITS
from castlist.messaging.outbox_relay import OutboxRelay
from castlist.service.openapi import openapi
from castlist.service.operations import application
from castlist.store.store import Store
from castlist.tasks.video_objects import AllowedObjects
from query_api.app import API, endpoints
from query_api.command_outbox import CommandOutbox
from query_api.record_changes import RecordChanges


@pytest.fixture
def documents() -> MemoryDocuments:
    """What lies in MongoDB."""
    return MemoryDocuments()


@pytest.fixture
def store(documents: MemoryDocuments) -> Store:
    """The same, in records."""
    return Store(documents)


@pytest.fixture
def objects() -> MemoryObjects:
    """What lies in S3."""
    return MemoryObjects()


@pytest.fixture
def patience() -> float:
    """How long an answer waits for what nobody does."""
    return 0.0


@pytest.fixture
def commands(store: Store, patience: float) -> CommandOutbox:
    """Where commands are left; nothing publishes them, and nobody carries them out."""
    relay = OutboxRelay(store, MemoryLog().publisher(), now_utc, [GALLERY_COMMITS])
    return CommandOutbox(store, relay, RecordChanges(store.changes), patience)


@pytest.fixture
async def client(store: Store, objects: MemoryObjects, commands: CommandOutbox) -> AsyncIterator[httpx2.AsyncClient]:
    """The service."""
    allowed, changes = AllowedObjects.told(objects.bucket, ""), RecordChanges(store.tasks)
    app = application(openapi(API), endpoints(store, objects, allowed, commands, changes), {}, ["test"])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
        yield client
