"""Pictures are looked at in processes of their own: what one does to it is the matter of that picture alone."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from castlist.children.child import Bounds, Child
from castlist.contract.values import NEW_GALLERY
from castlist.service.problems import Problem
from query_api.search import picture_children
from query_api.search.picture_children import PictureChildren

STUB = Path(__file__).with_name("stub_picture_child.py")
SETTINGS = NEW_GALLERY.analysis
Start = Callable[..., PictureChildren]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Children that do what a picture says."""
    started: list[Child] = []

    def make(count: int = 1, waiting: int = 16) -> PictureChildren:
        command = [sys.executable, str(STUB), str(os.getpid())]
        started.extend(Child(command, lambda _: None) for _ in range(count))
        return PictureChildren(started, waiting)

    yield make
    await asyncio.gather(*(child.close() for child in started))


async def look(children: PictureChildren, says: str) -> int:
    """How many faces a picture has that says so, in a file without a name, as an upload's."""
    with tempfile.TemporaryFile() as file:
        file.write(says.encode())
        return len((await children.look(file, SETTINGS)).faces)


async def test_a_child_reads_a_file_that_has_no_name(start: Start) -> None:
    """Nothing that could be left behind lies on a disk."""
    assert await look(start(), "empty") == 0


@pytest.mark.parametrize(
    ("says", "status", "kind"),
    [
        ("not_a_picture", 415, "not-a-picture"),
        ("limits_exceeded", 413, "limits-exceeded"),
        ("undecodable", 422, "undecodable"),
        ("crash", 422, "decoder-crashed"),
        ("grow", 422, "decoder-crashed"),
        ("hang", 422, "decoder-crashed"),
        ("nonsense", 422, "decoder-crashed"),
    ],
)
async def test_a_picture_that_cannot_be_looked_at_is_a_problem_and_harms_no_other(
    start: Start, monkeypatch: pytest.MonkeyPatch, says: str, status: int, kind: str
) -> None:
    """The next one is looked at by a child that is as good as new."""
    monkeypatch.setattr(picture_children, "BOUNDS", Bounds(cpu_seconds=5, seconds=1.5, memory=300 * 2**20))
    children = start()
    with pytest.raises(Problem) as refused:
        await look(children, says)
    assert (refused.value.status, refused.value.kind) == (status, kind)
    monkeypatch.setattr(picture_children, "BOUNDS", Bounds(cpu_seconds=60, seconds=60, memory=2**30))
    assert await look(children, "empty") == 0


async def test_a_mistake_of_ours_is_one(start: Start) -> None:
    """It is answered 500, and its reason is in the log."""
    children = start()
    with pytest.raises(RuntimeError, match="what nobody foresaw"):
        await look(children, "bug")
    assert await look(children, "empty") == 0


async def test_more_pictures_than_may_wait_are_sent_away(start: Start) -> None:
    """With a moment to come back at; those that wait are looked at."""
    children = start(1, waiting=2)
    waiting = [asyncio.create_task(look(children, "slow")) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Problem) as refused:
        await look(children, "empty")
    assert refused.value.status == 503
    assert refused.value.headers["Retry-After"]
    assert await asyncio.gather(*waiting) == [0, 0, 0]
    assert await look(children, "empty") == 0


async def test_a_picture_that_hangs_holds_up_none_where_there_are_two_children(start: Start) -> None:
    """And one that nobody waits for any more ends."""
    children = start(2)
    hanging = asyncio.create_task(look(children, "hang"))
    await asyncio.sleep(0.1)
    assert [await look(children, "empty") for _ in range(3)] == [0, 0, 0]
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    assert [await look(children, "empty") for _ in range(2)] == [0, 0]
