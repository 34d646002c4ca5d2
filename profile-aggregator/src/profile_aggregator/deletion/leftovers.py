"""What a commit has left to do is carried out piece by piece, until it is through."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from castlist.ports.errors import UnavailableError

T = TypeVar("T")


async def carry_out_each(
    left: Iterable[T], carry_out: Callable[[T], Awaitable[None]], failed: Callable[[T], None]
) -> None:
    """All there are; one that fails, which `failed` is told inside of the exception's handler, holds up no other.

    UnavailableError, once all were tried, if a server was away for one.
    """
    away: UnavailableError | None = None
    for one in left:
        try:
            await carry_out(one)
        except UnavailableError as error:
            away = error
        except Exception:
            failed(one)
    if away is not None:
        raise away
