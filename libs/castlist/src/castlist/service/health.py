"""Health and metrics, as every service serves them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

Check = Callable[[], Awaitable[None]]


def health_routes(ready: Mapping[str, Check]) -> list[BaseRoute]:
    """`/health/live`, `/health/ready` (503, naming what is down) and `/metrics`."""

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def is_ready(_: Request) -> Response:
        async def state(check: Check) -> str:
            try:
                await asyncio.wait_for(check(), 4)
            except Exception as error:
                return f"down: {error!r}"[:300]
            return "up"

        states = dict(zip(ready, await asyncio.gather(*map(state, ready.values())), strict=True))
        up = all(value == "up" for value in states.values())
        return JSONResponse({"status": "ready" if up else "not ready", "dependencies": states}, 200 if up else 503)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/health/live", live), Route("/health/ready", is_ready), Route("/metrics", metrics)]
