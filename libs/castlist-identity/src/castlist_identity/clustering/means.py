"""Mean encodings of persons by row."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Vectors = npt.NDArray[np.float32]
Kind = TypeVar("Kind", bound=np.generic)
GROWTH = 1.25
"""How much larger arrays become where rows are missing."""


class Means(Protocol):
    """`means[rows]` is [n, 128], not to be written to."""

    def __getitem__(self, rows: Rows | slice) -> Vectors: ...

    def put(self, rows: Rows, keys: Sequence[str], means: Vectors) -> None:
        """These rows, which were nobody's, are of who have these keys, and these means[n, 128]."""

    def forget(self, rows: Rows) -> None:
        """These rows are nobody's, and nothing is left of what was in them."""


class KeptMeans:
    """Each in its own row."""

    def __init__(self) -> None:
        self._rows: Vectors = np.zeros((0, 128), np.float32)

    def __getitem__(self, rows: Rows | slice) -> Vectors:
        return self._rows[rows]

    def put(self, rows: Rows, keys: Sequence[str], means: Vectors) -> None:
        """See `Means`."""
        self._rows = with_room(self._rows, int(rows.max(initial=-1)) + 1)
        self._rows[rows] = means

    def forget(self, rows: Rows) -> None:
        """See `Means`."""
        self._rows[rows] = 0.0


def with_room(array: npt.NDArray[Kind], rows: int) -> npt.NDArray[Kind]:
    """The array, or a larger one that has so many rows; what nobody writes to is 0, and takes no memory yet."""
    if rows <= len(array):
        return array
    larger = np.zeros((max(rows, int(GROWTH * len(array))), *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger
