"""Pictures that say which one they are and which way up they are."""

import numpy as np
from numpy.typing import NDArray

BITS = 10


def numbered_picture(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """RGB: `number` in ten white-or-black fields along the top, white at the left, red in the bottom half."""
    picture = np.full((height, width, 3), 60, np.uint8)
    band = height // 4
    left = width // 8
    cell = (width - left) // BITS
    for bit in range(BITS):
        picture[:band, left + bit * cell : left + (bit + 1) * cell] = 235 if number >> bit & 1 else 16
    picture[:, :left] = 235
    picture[height // 2 :, left:] = (200, 20, 20)
    return picture


def number_of(gray: NDArray[np.uint8]) -> int:
    """The number that an upright picture shows; -1 where it is not upright."""
    height, width = gray.shape
    band, left = height // 4, width // 8
    cell = (width - left) / BITS
    if gray[height // 4 : 3 * height // 4, left // 3 : left * 2 // 3].mean() < 180:
        return -1
    middles = [
        gray[band // 3 : band * 2 // 3, int(left + (bit + 0.35) * cell) : int(left + (bit + 0.65) * cell)]
        for bit in range(BITS)
    ]
    return sum(1 << bit for bit, middle in enumerate(middles) if middle.mean() > 125)
