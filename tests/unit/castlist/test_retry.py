"""Trying again while a server is away."""

import itertools

import pytest

from castlist.ports.errors import UnavailableError
from castlist.retry import pauses, retry_while_unavailable


async def test_a_step_is_repeated_until_the_server_is_back() -> None:
    """What it returns then is returned."""
    tries = 0

    @retry_while_unavailable
    async def step(answer: str) -> str:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise UnavailableError("S3 is away")
        return answer

    assert await step("done") == "done"
    assert tries == 4


async def test_other_errors_are_raised_at_once() -> None:
    """Waiting would not make them go away."""
    tries = 0

    @retry_while_unavailable
    async def step() -> None:
        nonlocal tries
        tries += 1
        raise KeyError("a mistake")

    with pytest.raises(KeyError):
        await step()
    assert tries == 1


def test_pauses_grow_up_to_the_longest_and_differ() -> None:
    """Processes that failed together do not come back together."""
    ours, others = (list(itertools.islice(pauses(0.1, 1.0), 10)) for _ in range(2))
    for number, pause in enumerate(ours):
        expected = min(0.1 * 2**number, 1.0)
        assert expected / 2 <= pause <= expected
    assert ours != others
