"""The handle on a running stack: where it answers, its processes and their logs, its database and its topics."""

import json
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition

from castlist.adapters import mongo
from castlist.adapters.kafka.publisher import KafkaPublisher
from castlist.store.store import Store
from deploy.supervision.home import Home
from deploy.supervision.state import read_processes
from testkit.eventually import PATIENCE, eventually

ADDRESSES = ("KAFKA_BOOTSTRAP", "MONGO_URL", "S3_ENDPOINT")
_CHILD = "frame_workers.slots.child_main"


@dataclass(frozen=True)
class RunningStack:
    """A stack, seen from outside. Processes are named as in `python3 deploy status`."""

    home: Path
    ingest_url: str
    query_url: str
    kafka_bootstrap: str
    mongo_url: str
    s3_endpoint: str

    @classmethod
    def of(cls, home: Path, settings: Mapping[str, str]) -> "RunningStack":
        """The one with these settings, which its supervisor wrote to `home`/env."""
        return cls(home, *(settings[name] for name in ("INGEST_URL", "QUERY_URL", *ADDRESSES)))

    def processes(self) -> dict[str, dict[str, Any]]:
        """name → pid, state, restarts, port, address, log."""
        return {row["name"]: row for row in read_processes(Home(self.home))}

    def pid(self, name: str) -> int:
        """Its process now; fails when it is not running."""
        pid = self.processes()[name]["pid"]
        assert pid is not None, f"{name} is not running"
        return int(pid)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send `number` to the process; returns the pid that got it. The supervisor starts it again."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    def wait_restarted(self, name: str, former: int, patience: float = PATIENCE) -> int:
        """Wait until another process than `former` is ready under `name`; returns its pid."""

        def restarted() -> int | None:
            row = self.processes()[name]
            return row["pid"] if row["state"] == "ready" and row["pid"] != former else None

        return int(eventually(restarted, patience, showing=lambda: self.processes()[name]))

    def wait_ready(self, patience: float = PATIENCE) -> None:
        """Wait until every process is ready."""

        def all_ready() -> bool:
            return all(row["state"] in ("ready", "given") for row in self.processes().values())

        eventually(all_ready, patience, showing=self.processes)

    def slots(self) -> list[psutil.Process]:
        """The children of frame-workers that work through chunks, one a slot."""
        children = psutil.Process(self.pid("frame-workers")).children()
        return [child for child in children if {_CHILD, "chunk"} <= set(_command(child))]

    def logged(self, service: str, message: str) -> Iterator[dict[str, Any]]:
        """The lines of a service's log with this message; `at` is when that was, in seconds since the epoch."""
        for line in (self.home / "logs" / f"{service}.log").read_text("utf-8", "replace").splitlines():
            if message in line and line.startswith("{"):
                said = json.loads(line)
                if said["message"] == message:
                    yield {**said, "at": datetime.fromisoformat(said["at"]).timestamp()}


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended meanwhile
        return []


@asynccontextmanager
async def connected(stack: RunningStack) -> AsyncIterator[tuple[Store, KafkaPublisher]]:
    """The stack's collections and a publisher to its topics."""
    documents = mongo.connect(stack.mongo_url, "castlist")
    publisher = KafkaPublisher(stack.kafka_bootstrap)
    try:
        yield Store(documents), publisher
    finally:
        await publisher.close()
        documents.close()


async def whole_topic(stack: RunningStack, topic: str) -> list[Any]:
    """Every record that lies in `topic` now, by partition and offset."""
    # Not at the latest and then seek_to_beginning: a seek that meets the answer about the latest on its way is lost in
    # it (aiokafka's _update_fetch_positions), and the topic looks empty.
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.kafka_bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, p) for p in (await _partitions(consumer, topic))]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        records: list[Any] = []
        while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                records += batch
        return records
    finally:
        await consumer.stop()


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> list[int]:
    await consumer._client.force_metadata_update()
    return sorted(consumer.partitions_for_topic(topic) or await _listed(consumer, topic))


async def _listed(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    consumer.subscribe([topic])
    await consumer._client.force_metadata_update()
    found = set(consumer.partitions_for_topic(topic) or ())
    consumer.unsubscribe()
    return found
