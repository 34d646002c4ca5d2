"""Streams without a container have no timestamps: a picture's time is its number over the frame rate, as players do it.

A stream can be decoded from its start points only: keyframes of which it is known how many pictures are shown before.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from castlist_vision.reading.nal_units import unit_positions

# Their parsers call pictures keyframes that need the ones before.
_ONE_START = {"h261", "h263"}
# Of units by type: after which nothing before is needed, and which follow a keyframe but are shown before it.
_H264_STARTS = {5}
_HEVC_STARTS, _HEVC_LEADING = {19, 20, 21}, {6, 7, 8, 9}
_VVC_STARTS, _VVC_LEADING = {7, 8, 9}, {2, 3}


def numbered(packets: Iterable[Any], ticks: float) -> Iterator[Any]:
    """The packets of a bare stream, stamped with numbers of pictures times `ticks`.

    `dts` counts them as they are decoded. A start point is marked as a keyframe and its `pts` says the number with
    which it is shown; no other packet has a `pts`.
    """
    decoded = 0.0
    start: Any = None
    leading = 0.0
    held: list[Any] = []
    end: list[Any] = []
    for packet in packets:
        if packet.size == 0:
            end = [packet]
            break
        # Half as long as a picture: one of its two fields.
        step = 0.5 if packet.duration and packet.duration < 0.6 * ticks else 1.0
        number, decoded = decoded, decoded + step
        if start is not None:
            if _leads(packet, start):
                leading += step
            else:
                yield from _shown_from(start, held, leading, ticks)
                start, held = None, []
        if _is_start(packet) or number == 0:
            start, leading, held = packet, 0.0, [(packet, number)]
        elif start is not None:
            held.append((packet, number))
        else:
            yield _stamped(packet, number, None, ticks)
    yield from _shown_from(start, held, leading, ticks)
    yield from end


def _shown_from(start: Any, held: list[Any], leading: float, ticks: float) -> Iterator[Any]:
    for packet, number in held:
        yield _stamped(packet, number, number + leading if packet is start else None, ticks)


def _stamped(packet: Any, number: float, shown: float | None, ticks: float) -> Any:
    packet.dts = round(int(number) * ticks)
    packet.pts = None if shown is None else round(int(shown) * ticks)
    packet.is_keyframe = shown is not None
    return packet


def _is_start(packet: Any) -> bool:
    match packet.stream.codec_context.name:
        case "h264":
            return not _H264_STARTS.isdisjoint(unit[0] & 0x1F for unit in _units(packet))
        case "hevc":
            return not _HEVC_STARTS.isdisjoint(unit[0] >> 1 & 0x3F for unit in _units(packet))
        case "vvc":
            return not _VVC_STARTS.isdisjoint(unit[1] >> 3 for unit in _units(packet))
        case codec:
            return bool(packet.is_keyframe) and codec not in _ONE_START


def _leads(packet: Any, start: Any) -> bool:
    """Whether it is shown before the start point that it follows."""
    match packet.stream.codec_context.name:
        case "hevc":
            return not _HEVC_LEADING.isdisjoint(unit[0] >> 1 & 0x3F for unit in _units(packet))
        case "vvc":
            return not _VVC_LEADING.isdisjoint(unit[1] >> 3 for unit in _units(packet))
        case _:
            return packet.pts is not None and start.pts is not None and bool(packet.pts < start.pts)


def _units(packet: Any) -> Iterator[bytes]:
    """The header of each."""
    data = bytes(packet)
    return (data[position : position + 2] for position in unit_positions(data))
