"""The ports in memory: for tests, and for trying a stage without servers. Held to the real ones by one suite."""

from castlist.adapters.memory.documents import MemoryDocuments
from castlist.adapters.memory.messages import MemoryLog, MemoryPublisher, MemorySubscription
from castlist.adapters.memory.objects import MemoryObjects, MemoryUpload
from castlist.adapters.memory.web_calls import MemoryCalls

__all__ = [
    "MemoryCalls",
    "MemoryDocuments",
    "MemoryLog",
    "MemoryObjects",
    "MemoryPublisher",
    "MemorySubscription",
    "MemoryUpload",
]
