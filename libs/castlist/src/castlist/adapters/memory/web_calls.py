"""Receivers of calls, in memory."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from castlist.ports.web_calls import Answer, WebCalls

OK = Answer(200)


@dataclass(frozen=True)
class Call:
    """A call that was received."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class MemoryCalls(WebCalls):
    """`WebCalls` to one receiver. `answer` says what it answers to each call, or raises NoAnswerError."""

    answer: Callable[[Call], Answer] = lambda _: OK
    received: list[Call] = field(default_factory=list)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        await asyncio.sleep(0)  # a real one answers later, too: others run meanwhile
        call = Call(url, dict(headers), body)
        self.received.append(call)
        return self.answer(call)
