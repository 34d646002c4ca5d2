"""A service as a process of a test's own, and a way to its servers that can be cut."""

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2

from deploy.supervision.ports import free_port
from testkit.eventually import eventually

NOWHERE = "127.0.0.1:1"
"""Nothing listens there."""


@dataclass(frozen=True)
class OwnService:
    """Where it answers, and its process."""

    url: str
    process: "subprocess.Popen[bytes]"


@contextlib.contextmanager
def own_service(module: str, port_name: str, **environment: str) -> Iterator[OwnService]:
    """`python -m module` on a port of its own, ready; stopped afterwards, unless it has ended before."""
    port = free_port()
    environment = {**os.environ, "LOG_LEVEL": "WARNING", **environment, port_name: str(port)}
    process = subprocess.Popen([sys.executable, "-m", module], env=environment)
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        assert process.poll() is None, f"{module} ended with {process.returncode}"
        with contextlib.suppress(httpx2.TransportError):
            return bool(httpx2.get(f"{url}/health/ready", timeout=5).status_code == 200)
        return False

    try:
        eventually(ready)
        yield OwnService(url, process)
    finally:
        process.terminate()
        process.wait(20)


class TcpProxy:
    """A TCP port that leads to a server until it is cut. Runs in a thread of its own."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self.port = free_port()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def mend(self) -> None:
        """Let connections through."""
        self._do(self._listen())

    def cut(self) -> None:
        """Break all connections, and take no new one."""
        self._do(self._hang_up())

    def close(self) -> None:
        """Cut it for good."""
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _do(self, step: Any) -> None:
        asyncio.run_coroutine_threadsafe(step, self._loop).result(10)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)

    async def _hang_up(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.sleep(0.05)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._target)
        self._open |= {writer, back}
        try:
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
        finally:
            self._open -= {writer, back}


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()
