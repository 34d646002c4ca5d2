"""The ports in memory: for tests, and for trying a stage without servers. Held to the real ones by one suite."""

from castlist.memory.documents import MemoryDocuments
from castlist.memory.log import MemoryLog, MemoryPublisher, MemorySubscription
from castlist.memory.objects import MemoryObjects, MemoryUpload

__all__ = [
    "MemoryDocuments",
    "MemoryLog",
    "MemoryObjects",
    "MemoryPublisher",
    "MemorySubscription",
    "MemoryUpload",
]
