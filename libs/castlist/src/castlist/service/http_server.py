"""uvicorn as the services run it."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette

from castlist.service.bounded_http import BoundedHttp

# Seconds that requests get to end by themselves after a stop, and then to put away what they had begun.
_GRACE, _PUT_AWAY = 5, 2


class _WithoutSignals(uvicorn.Server):
    """A server beside others in one process, which has a shutdown of its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to the process's own handlers."""
        yield


class _Server(uvicorn.Server):
    """Returns when told to stop; uvicorn's own raises the signal once more, which would end the process right there."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        await super().serve(sockets)
        # The requests that it cancelled put away what they had begun.
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=_PUT_AWAY)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def make_server(app: Starlette, host: str, port: int, *, install_signals: bool = True) -> uvicorn.Server:
    """A server for `app`; `await server.serve()` runs it until it is told to stop."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=BoundedHttp,
        ws="none",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=30,
        server_header=False,
    )
    return _Server(config) if install_signals else _WithoutSignals(config)
