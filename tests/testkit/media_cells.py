"""The media matrix: every cell is a container, a codec and an oddity, and how the command makes such a file."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from testkit import ffmpeg_command
from testkit.ffmpeg_command import CommandError, Shown
from testkit.numbered_pictures import number_of, numbered_picture

RATE = 25
FRAMES = 50
# A second part, or track, shows other numbers.
OTHERS = 512
WRAP = 2**33 / 90_000


@dataclass(frozen=True)
class Codec:
    """An encoder, its options, and the size that it takes."""

    encoder: str
    options: str = ""
    size: tuple[int, int] = (192, 128)
    rate: int = RATE


@dataclass(frozen=True)
class Container:
    """A muxer, what it is told, and which codecs and oddities files of it come with."""

    muxer: str
    codecs: str
    oddities: str
    options: str = ""


CODECS = {
    "h264": Codec("libx264", "-preset veryfast -g 12 -bf 2 -threads 1"),
    "h264-open": Codec("libx264", "-preset veryfast -g 12 -bf 3 -threads 1 -x264-params open-gop=1:scenecut=0"),
    "h264-interlaced": Codec("libx264", "-preset veryfast -g 12 -flags +ildct+ilme -threads 1"),
    "h264-10": Codec("libx264", "-preset veryfast -g 12 -pix_fmt yuv420p10le -threads 1"),
    "hevc": Codec("libx265", "-preset ultrafast -x265-params log-level=none:keyint=12:bframes=3:pools=none"),
    "vvc": Codec("libvvenc", "-preset faster -pix_fmt yuv420p10le"),
    "av1": Codec("libsvtav1", "-preset 12 -g 12 -svtav1-params lp=1"),
    "vp8": Codec("libvpx", "-deadline good -cpu-used 5 -g 12 -b:v 1M -auto-alt-ref 1"),
    "vp9": Codec("libvpx-vp9", "-deadline good -cpu-used 5 -g 12 -b:v 1M"),
    "mpeg1": Codec("mpeg1video", "-g 12 -bf 2 -q:v 4"),
    "mpeg2": Codec("mpeg2video", "-g 12 -bf 2 -q:v 4"),
    "mpeg2-interlaced": Codec("mpeg2video", "-g 12 -q:v 4 -flags +ildct+ilme"),
    "mpeg4": Codec("mpeg4", "-g 12 -bf 2 -q:v 4"),
    "mpeg4-packed": Codec("libxvid", "-g 12 -bf 2 -q:v 4"),
    "msmpeg4v2": Codec("msmpeg4v2", "-g 12 -q:v 4"),
    "msmpeg4v3": Codec("msmpeg4", "-g 12 -q:v 4"),
    "wmv1": Codec("wmv1", "-g 12 -q:v 4"),
    "wmv2": Codec("wmv2", "-g 12 -q:v 4"),
    "flv1": Codec("flv", "-g 12 -q:v 4"),
    "flashsv": Codec("flashsv", "-pix_fmt bgr24"),
    "h261": Codec("h261", "-q:v 4", (176, 144)),
    "h263": Codec("h263", "-q:v 4", (176, 144)),
    "theora": Codec("libtheora", "-g 12 -q:v 8"),
    "rv10": Codec("rv10", "-g 12 -q:v 4"),
    "rv20": Codec("rv20", "-g 12 -q:v 4"),
    "mjpeg": Codec("mjpeg", "-q:v 4 -pix_fmt yuvj420p"),
    "png": Codec("png", "-pix_fmt rgb24"),
    "gif": Codec("gif", ""),
    "apng": Codec("apng", "-pix_fmt rgb24"),
    "ffv1": Codec("ffv1", "-g 12 -pix_fmt yuv420p"),
    "huffyuv": Codec("huffyuv", "-pix_fmt yuv422p"),
    "utvideo": Codec("utvideo", "-pix_fmt yuv420p"),
    "qtrle": Codec("qtrle", "-pix_fmt rgb24"),
    "cinepak": Codec("cinepak", "-pix_fmt rgb24"),
    "svq1": Codec("svq1", "-pix_fmt yuv410p"),
    "prores": Codec("prores_ks", "-pix_fmt yuv422p10le"),
    "dnxhr": Codec("dnxhd", "-profile:v dnxhr_lb -pix_fmt yuv422p", (256, 128)),
    "jpeg2000": Codec("jpeg2000", "-pix_fmt yuv420p"),
    "raw": Codec("rawvideo", "-pix_fmt yuv420p"),
    "dv": Codec("dvvideo", "-pix_fmt yuv420p", (720, 576)),
    "sd-mpeg2": Codec("mpeg2video", "-g 12 -bf 2 -q:v 4", (720, 576)),
    "vc2": Codec("vc2", "-pix_fmt yuv422p10le"),
    "snow": Codec("snow", "-g 12 -q:v 4"),
    "roq": Codec("roqvideo", "-pix_fmt yuvj444p", (256, 128), 30),
}
# What any container with timestamps comes with; what only some have.
ANY = "plain one cut"
WHOLE = "plain one hole long-gap vfr late"
TIMED = f"{WHOLE} cut"
TURNED = "rotated mirrored"
CONTAINERS = {
    "mp4": Container("mp4", "h264 h264-open h264-interlaced h264-10 hevc vvc av1 vp9 mpeg4 mpeg2 mjpeg",
                     f"{WHOLE} {TURNED} tracks"),
    "mp4-index-first": Container("mp4", "h264 hevc mpeg4", "plain cut damage", "-movflags +faststart"),
    "mp4-fragmented": Container("mp4", "h264 av1", f"{TIMED} joint", "-movflags +frag_keyframe+empty_moov"),
    "mov": Container("mov", "h264 hevc mjpeg png prores dnxhr qtrle cinepak svq1", f"{WHOLE} {TURNED} tracks"),
    "3gp": Container("3gp", "h263 h264 mpeg4", "plain one hole long-gap vfr"),
    "f4v": Container("f4v", "h264", WHOLE),
    "ismv": Container("ismv", "h264", TIMED),
    "mkv": Container("matroska", "h264 h264-open hevc vp8 vp9 av1 mpeg1 mpeg2 mpeg4 mjpeg theora ffv1 wmv2",
                     f"{TIMED} {TURNED} tracks damage joint"),
    "webm": Container("webm", "vp8 vp9 av1", f"{TIMED} damage joint"),
    "avi": Container(
        "avi", "mpeg4 mpeg4-packed msmpeg4v2 msmpeg4v3 wmv1 h264 mjpeg huffyuv utvideo ffv1 cinepak raw dv",
        f"{ANY} damage"),
    "flv": Container("flv", "flv1 h264 hevc av1 vp9 flashsv", f"{TIMED} damage joint"),
    "ts": Container("mpegts", "h264 h264-open h264-interlaced hevc vvc mpeg1 mpeg2 mpeg2-interlaced mpeg4",
                    f"{TIMED} tracks damage joint wrap pid"),
    "m2ts": Container("mpegts", "h264 mpeg2", f"{TIMED} joint wrap", "-mpegts_m2ts_mode 1"),
    "mpg": Container("mpeg", "mpeg1 mpeg2", f"{TIMED} damage joint wrap"),
    "vob": Container("vob", "mpeg2 mpeg2-interlaced", f"{TIMED} damage joint wrap"),
    "dvd": Container("dvd", "mpeg2", f"{TIMED} joint"),
    "ogv": Container("ogg", "theora vp8", f"{TIMED} damage joint"),
    "asf": Container("asf", "wmv1 wmv2 msmpeg4v3 h264 mpeg4", f"{TIMED} damage"),
    "nut": Container("nut", "mpeg4 h264 ffv1 vp8 snow", f"{TIMED} damage"),
    "mxf": Container("mxf", "mpeg2 h264 dnxhr jpeg2000", ANY),
    "gxf": Container("gxf", "sd-mpeg2", ANY),
    "wtv": Container("wtv", "mpeg2 h264 mpeg1", WHOLE),
    "rm": Container("rm", "rv10 rv20", TIMED),
    "ivf": Container("ivf", "vp8 vp9 av1", f"{ANY} vfr hole"),
    "y4m": Container("yuv4mpegpipe", "raw", ANY),
    "dv": Container("dv", "dv", f"{ANY} damage joint"),
    "swf": Container("swf", "flv1 mjpeg", "plain one cut"),
    "gif": Container("gif", "gif", f"{ANY} hole vfr"),
    "apng": Container("apng", "apng", "plain cut hole vfr", "-plays 0"),
    "smjpeg": Container("smjpeg", "mjpeg", f"{ANY} hole vfr"),
    "film": Container("film_cpk", "cinepak", ANY),
    "roq": Container("roq", "roq", ANY),
    "bare-h264": Container("h264", "h264 h264-open h264-interlaced", f"{ANY} damage joint"),
    "bare-hevc": Container("hevc", "hevc", f"{ANY} damage joint"),
    "bare-vvc": Container("vvc", "vvc", f"{ANY} joint"),
    "bare-av1": Container("obu", "av1", f"{ANY} joint"),
    "bare-mpeg1": Container("mpeg1video", "mpeg1", f"{ANY} damage joint"),
    "bare-mpeg2": Container("mpeg2video", "mpeg2 mpeg2-interlaced", f"{ANY} damage joint"),
    "bare-mpeg4": Container("m4v", "mpeg4", f"{ANY} damage joint"),
    "bare-vc2": Container("dirac", "vc2", f"{ANY} joint"),
    "bare-mjpeg": Container("mjpeg", "mjpeg", "plain cut joint"),
    "bare-h261": Container("h261", "h261", "plain cut"),
    "bare-h263": Container("h263", "h263", "plain cut"),
    "bare-dnxhr": Container("dnxhd", "dnxhr", ANY),
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One kind of file."""

    container: str
    codec: str
    oddity: str

    @property
    def id(self) -> str:
        return f"{self.container}/{self.codec}/{self.oddity}"


def cells() -> Iterator[Cell]:
    """All that are tried; whether the command can make one is seen when it does."""
    for name, container in CONTAINERS.items():
        for codec in container.codecs.split():
            for oddity in container.oddities.split():
                yield Cell(name, codec, oddity)


@dataclass(frozen=True)
class Made:
    """A file, and the pictures that are to come out of it.

    Where it is damaged, what more comes is left open; where it is torn, the last pictures are.
    """

    path: Path
    expected: list[Shown]
    damaged: bool = False
    torn: bool = False


def make(cell: Cell, folder: Path) -> Made | None:
    """The file, and what the command shows of it, or of its parts; None where it cannot make or read it."""
    try:
        return _MAKERS.get(cell.oddity, _simple)(cell, folder)
    except CommandError:
        return None


# When the Nth picture of an uneven video is shown, in units of how many to a picture.
_TIMES = {
    "late": ("N+30", 1),
    "hole": ("N+20*gte(N\\,20)", 1),
    "long-gap": ("N+225*gte(N\\,20)", 1),
    "vfr": ("2*N+mod(N\\,2)", 2),
}


@functools.cache
def _pictures(first: int, count: int, size: tuple[int, int]) -> bytes:
    return b"".join(numbered_picture(first + number, *size).tobytes() for number in range(count))


def _write(cell: Cell, path: Path, first: int = 0, *words: str, sound: bool = False) -> Path:
    codec, container = CODECS[cell.codec], CONTAINERS[cell.container]
    count = 1 if cell.oddity == "one" else FRAMES
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{codec.size[0]}x{codec.size[1]}", "-r", str(codec.rate)]
    uneven = []
    if cell.oddity in _TIMES:
        times, finer = _TIMES[cell.oddity]
        unit = f"{finer * codec.rate}"
        retimed = ["-vf", f"settb=1/{unit},setpts={times}", "-enc_time_base", f"1/{unit}"]
        uneven = [*retimed, "-fps_mode", "passthrough"]
    voice = ["-f", "lavfi", "-i", "sine=duration=2", "-map", "1:a", "-map", "0:v"] if sound else []
    encoder = [*voice, *uneven, "-c:v", codec.encoder, *codec.options.split()]
    muxer = [*container.options.split(), *words, "-f", container.muxer]
    given = _pictures(first, count, codec.size)
    ffmpeg_command.run(*source, "-i", "pipe:0", *encoder, *muxer, path, given=given)
    return path


def _path(cell: Cell, folder: Path, more: str = "") -> Path:
    return folder / f"{cell.id.replace('/', '-')}{more}"


def _shown(cell: Cell, path: Path, stream: int = 0) -> list[Shown]:
    # Of these it takes the smallest for something else.
    forced = {"bare-mjpeg": "mjpeg", "ts": "mpegts", "m2ts": "mpegts"}
    return ffmpeg_command.shown(path, stream, forced.get(cell.container))


def _simple(cell: Cell, folder: Path) -> Made:
    path = _write(cell, _path(cell, folder))
    return Made(path, _shown(cell, path))


def _late(cell: Cell, folder: Path) -> Made:
    """Sound comes first."""
    path = _write(cell, _path(cell, folder), sound=True)
    return Made(path, _shown(cell, path))


def _wrapping(cell: Cell, folder: Path) -> Made:
    """The clock's 33 bits run over in the middle."""
    path = _write(cell, _path(cell, folder), 0, "-output_ts_offset", str(WRAP - FRAMES / RATE / 2))
    return Made(path, _shown(cell, path))


def _cut(cell: Cell, folder: Path) -> Made:
    path = _write(cell, _path(cell, folder))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 7 // 10])
    return Made(path, _shown(cell, path), torn=True)


def _damaged(cell: Cell, folder: Path) -> Made:
    """A tenth of the bytes behind the middle was never written.

    What lies before and behind what that spoils is expected; how the rest is concealed differs between decoders.
    """
    path = _write(cell, _path(cell, folder))
    intact = [_moment(one) for one in _shown(cell, path)]
    content = path.read_bytes()
    begin, end = len(content) * 60 // 100, len(content) * 70 // 100
    path.write_bytes(content[:begin] + bytes(end - begin) + content[end:])
    after = _shown(cell, path)
    moments = set(map(_moment, after))
    spoiled = [time for time, number in intact if (time, number) not in moments] or [0.0]
    right = [
        one for one in after if _moment(one) in intact and not min(spoiled) <= _moment(one)[0] <= max(spoiled)
    ]  # fmt: skip
    return Made(path, right, damaged=True)


def _moment(one: Shown) -> tuple[float, int]:
    return round(one.time, 3), number_of(one.picture)


def _joined(cell: Cell, folder: Path, *words: str) -> Made:
    """Two videos in one file: the second is shown one picture after the first, each as it is by itself."""
    parts = [_write(cell, _path(cell, folder, "-1")), _write(cell, _path(cell, folder, "-2"), OTHERS, *words)]
    path = _path(cell, folder)
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    if cell.container.startswith("bare-"):
        return Made(path, _shown(cell, path))
    first, second = (_shown(cell, part) for part in parts)
    moved = first[-1].time + 1 / CODECS[cell.codec].rate - second[0].time
    return Made(path, [*first, *(Shown(one.time + moved, one.picture) for one in second)])


def _moved_to_another_pid(cell: Cell, folder: Path) -> Made:
    return _joined(cell, folder, "-streamid", "0:1234")


def _marked(option: str) -> Callable[[Cell, Path], Made]:
    def mark(cell: Cell, folder: Path) -> Made:
        plain = _write(cell, _path(cell, folder, "-plain"))
        path = _path(cell, folder)
        ffmpeg_command.run(*option.split(), "-i", plain, "-c", "copy", "-f", CONTAINERS[cell.container].muxer, path)
        return Made(path, _shown(cell, path))

    return mark


def _two_tracks(cell: Cell, folder: Path) -> Made:
    """A smaller video behind the first: the larger one counts."""
    plain = _write(cell, _path(cell, folder, "-plain"))
    small = ["-vf", "scale=iw/2:ih/2,negate", "-c:v", CODECS[cell.codec].encoder, *CODECS[cell.codec].options.split()]
    other, path = _path(cell, folder, "-small"), _path(cell, folder)
    muxer = CONTAINERS[cell.container].muxer
    ffmpeg_command.run("-i", plain, *small, "-f", muxer, other)
    both = ["-map", "0:v", "-map", "1:v", "-c", "copy", "-f", muxer]
    ffmpeg_command.run("-i", plain, "-i", other, *both, path)
    return Made(path, _shown(cell, path))


_MAKERS: dict[str, Callable[[Cell, Path], Made]] = {
    "late": _late,
    "cut": _cut,
    "damage": _damaged,
    "joint": _joined,
    "pid": _moved_to_another_pid,
    "wrap": _wrapping,
    "rotated": _marked("-display_rotation:v:0 90"),
    "mirrored": _marked("-display_hflip:v:0"),
    "tracks": _two_tracks,
}
