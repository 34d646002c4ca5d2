"""What a task that read a video has to say about it: the warnings, their codes, and how those of many chunks add up."""

from collections.abc import Iterable
from heapq import nlargest
from itertools import groupby, pairwise

from castlist.contract.values import VideoWarning

WARNING_CODES = {
    "truncated": "The file ends early: these are the people of its readable part.",
    "damaged": "The file is damaged here: what could be decoded was looked at, and nobody is followed across.",
    "gap": "For a while no picture is shown here: nobody is followed across.",
    "clock_restarted": "The file's clock starts over or leaps here: what follows counts from the frame before.",
    "track_not_read": "The file has another track of pictures, which was not looked at.",
    "detector_replaced": "The detector `auto` could not be had: `hog` looked for faces, and misses those turned away.",
    "pictures_lost": "Fewer pictures could be decoded than the file holds.",
}
"""Everything that `code` may say, with its sentence."""
MOST_OF_A_CODE = 20
"""More places than this are told as fewer, longer ones."""
_CODE_LENGTH = 64


def warning(
    code: str, start: float | None = None, end: float | None = None, message: str | None = None
) -> VideoWarning:
    """A warning of one of WARNING_CODES, with its sentence unless another is given; times in seconds of the video."""
    return VideoWarning(code, WARNING_CODES[code] if message is None else message, start, end)


def as_warning(told: VideoWarning | str) -> VideoWarning:
    """A warning as it is told now; before, it was a code alone."""
    if isinstance(told, VideoWarning):
        return told
    return VideoWarning(told[:_CODE_LENGTH], WARNING_CODES.get(told, told[:_CODE_LENGTH]))


def summed_up(warnings: Iterable[VideoWarning]) -> tuple[VideoWarning, ...]:
    """Each thing once, in order of code and time: stretches that meet are one, and at most MOST_OF_A_CODE are left."""
    result: list[VideoWarning] = []
    for (code, message), alike in groupby(sorted(set(warnings), key=_order), lambda one: (one.code, one.message)):
        places: list[tuple[float, float | None]] = []
        whole = False
        for one in alike:
            if one.start is None:
                whole = True
                continue
            if places and one.start <= _end(places[-1]):
                places[-1] = places[-1][0], max(_end(places[-1]), _end((one.start, one.end)))
            else:
                places.append((one.start, one.end))
        if whole:
            result.append(VideoWarning(code, message))
        result += [VideoWarning(code, message, start, end) for start, end in _fewer(places)]
    return tuple(result)


def _fewer(places: list[tuple[float, float | None]]) -> list[tuple[float, float | None]]:
    """At most MOST_OF_A_CODE: parted where they are furthest from each other."""
    if len(places) <= MOST_OF_A_CODE:
        return places
    distances = [(places[i][0] - _end(places[i - 1]), i) for i in range(1, len(places))]
    begins = sorted(i for _, i in nlargest(MOST_OF_A_CODE - 1, distances))
    return [(places[begin][0], _end(places[end - 1])) for begin, end in pairwise([0, *begins, len(places)])]


def _end(place: tuple[float, float | None]) -> float:
    start, end = place
    return start if end is None else max(start, end)


def _order(one: VideoWarning) -> tuple[str, str, float]:
    return one.code, one.message, float("-inf") if one.start is None else one.start
