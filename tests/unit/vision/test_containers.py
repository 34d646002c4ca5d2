"""The list of what is read, held against FFmpeg: it can open all of it, and nothing on it opens anything else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import av.error
import pytest
from av.format import ContainerFormat

from castlist.media.containers import CONTAINERS, ENOUGH, container_of
from castlist_vision.reading.chunk_plan import Chunk
from castlist_vision.reading.decode import ChunkDecoder

MakeVideo = Callable[..., Path]

# Every other demuxer that FFmpeg has, and why it is left out.
OPENS_OTHER_FILES = "concat hls image2 image2pipe mlv vobsub webm_dash_manifest"
DEVICES_AND_ADDRESSES = "alsa fbdev kmsgrab lavfi oss rtp rtsp sap sdp v4l2 x11grab"
ANOTHER_NAME_OF_ONE_THAT_IS_LISTED = "asf_o live_flv mpegtsraw"
NOTHING_TELLS_IT_FROM_OTHER_FILES = """
    3dostr argo_brp avs bitpacked bmv c93 cdg cdxl data dcstr dsicin filmstrip frm idcin ingenient lmlm4 lvf mgsts mm
    moflex mpjpeg msnwctcp mtv mvi mxg psxstr rawvideo sga simbiosis_imx tiertexseq txd v210 v210x vivo vmd yop
"""
NO_DECODER_FOR_IT = "avs2 avs3 evc jpegxl_anim"
PICTURES_AND_TEXT = """
    adf alias_pix aqtitle ass bin brender_pix dvbsub dvbtxt ffmetadata fits ico idf jacosub lrc mcc microdvd mjpeg_2000
    mpl2 mpsub msp pjs rcwt realtext sami sbg scc srt stl subviewer subviewer1 sup tedcaptions tty vplayer webvtt xbin
"""
SOUND = """
    aa aac aax ac3 ac4 ace acm act adp ads adx aea afc aiff aix alaw alp amr amrnb amrwb apac apc ape apm aptx aptx_hd
    argo_asf argo_cvg ast au avr bfstm binka bit boa bonk brstm caf codec2 codec2raw daud derf dfpwm dsf dss dts dtshd
    ea_cdata eac3 epaf f32be f32le f64be f64le flac fsb fwse g722 g723_1 g726 g726le g728 g729 genh gsm hca hcom iamf
    ilbc ircam iss kvag laf lc3 loas mca mlp mmf mp3 mpc mpc8 msf mtaf mulaw musx nistsphere nsp oma osq pp_bnk pvf qcp
    qoa redspark rka rsd rso s16be s16le s24be s24le s32be s32le s337m s8 sbc scd sdns sdr2 sds sdx shn sln sol sox
    spdif svag svs tak truehd tta u16be u16le u24be u24le u32be u32le u8 vag vidc voc vpk vqf w64 wady wav wavarc wsaud
    wsd wv wve xa xmd xvag xwma
"""
LEFT_OUT = {
    name
    for names in (
        OPENS_OTHER_FILES,
        DEVICES_AND_ADDRESSES,
        ANOTHER_NAME_OF_ONE_THAT_IS_LISTED,
        NOTHING_TELLS_IT_FROM_OTHER_FILES,
        NO_DECODER_FOR_IT,
        PICTURES_AND_TEXT,
        SOUND,
    )
    for name in names.split()
}

# FFmpeg's muxers that write what is listed: muxer, encoder, and what the encoder asks for.
MUXERS: dict[str, tuple[str, dict[str, Any]]] = {
    "mov": ("libx264", {}),
    "mp4": ("libx264", {}),
    "3gp": ("h263", {"width": 176, "height": 144}),
    "3g2": ("libx264", {}),
    "f4v": ("libx264", {}),
    "ismv": ("libx264", {}),
    "matroska": ("libx264", {}),
    "webm": ("libvpx", {}),
    "avi": ("mpeg4", {}),
    "flv": ("flv", {}),
    "gif": ("gif", {"pixels": "rgb8"}),
    "apng": ("apng", {"pixels": "rgb24", "container_options": {"plays": "0"}}),
    "ogg": ("libvpx", {}),
    "asf": ("wmv2", {}),
    "mxf": ("mpeg2video", {}),
    "rm": ("rv20", {}),
    "ivf": ("libvpx", {}),
    "dv": ("dvvideo", {"width": 720, "height": 576}),
    "swf": ("flv", {}),
    "nut": ("mpeg4", {}),
    "yuv4mpegpipe": ("rawvideo", {}),
    "gxf": ("mpeg2video", {"width": 720, "height": 576}),
    "wtv": ("mpeg2video", {}),
    "smjpeg": ("mjpeg", {"pixels": "yuvj420p"}),
    "roq": ("roqvideo", {"width": 256, "height": 128, "rate": 30, "pixels": "yuvj444p"}),
    "film_cpk": ("cinepak", {"pixels": "rgb24"}),
    "obu": ("libsvtav1", {"stream_options": {"preset": "12"}}),
    "dnxhd": ("dnxhd", {"width": 1920, "height": 1080, "pixels": "yuv422p", "stream_options": {"b": "120M"}}),
    "mjpeg": ("mjpeg", {"pixels": "yuvj420p"}),
    "mpeg": ("mpeg1video", {}),
    "vob": ("mpeg2video", {}),
    "dvd": ("mpeg2video", {}),
    "mpegts": ("libx264", {}),
    "mpeg1video": ("mpeg1video", {}),
    "mpeg2video": ("mpeg2video", {}),
    "m4v": ("mpeg4", {}),
    "h261": ("h261", {"width": 176, "height": 144}),
    "h263": ("h263", {"width": 176, "height": 144}),
    "h264": ("libx264", {}),
    "hevc": ("libx265", {"stream_options": {"x265-params": "log-level=none"}}),
}
M2TS = {"container": "mpegts", "container_options": {"mpegts_m2ts_mode": "1"}}


def demuxers() -> set[str]:
    found = set()
    for name in av.formats_available:
        try:
            found.add(ContainerFormat(name, "r").name)
        except ValueError:
            continue  # it can only be written
    return found


def test_every_demuxer_is_listed_or_left_out_for_a_reason() -> None:
    """What a new FFmpeg brings is decided on, and not taken in by a list that nobody looked at."""
    listed = {container.demuxer for container in CONTAINERS}
    aliases = {"mp4", "3gp", "3g2", "webm"}
    all_of_them = {part for name in demuxers() for part in name.split(",")[:2] if not part.endswith("_pipe")}
    undecided = {name for name in all_of_them - listed - LEFT_OUT - aliases if name != "video4linux2"}
    assert undecided == set()
    assert listed <= all_of_them
    assert not listed & LEFT_OUT


@pytest.mark.parametrize("muxer", MUXERS)
def test_what_ffmpeg_writes_is_known_and_read(muxer: str, make_video: MakeVideo) -> None:
    """Sniffing names the demuxer that FFmpeg itself would choose, and all pictures come out of it."""
    encoder, how = MUXERS[muxer]
    path = make_video(container=muxer, codec=encoder, frames=12, **how)
    assert_read(path, at_least=11)


def test_a_blu_ray_stream_is_known_and_read(make_video: MakeVideo) -> None:
    """Its packets are four bytes longer."""
    assert_read(make_video(**M2TS, frames=12), at_least=12)


@pytest.mark.parametrize(
    "how",
    [
        {"container": "vob", "codec": "mpeg2video"},
        {"container": "mpegts"},
        {"container": "h264"},
        {"container": "hevc", "codec": "libx265", "stream_options": {"x265-params": "log-level=none"}},
        {"container": "mpeg2video", "codec": "mpeg2video"},
    ],
    ids=lambda how: how["container"],
)
def test_what_lies_behind_a_recorders_header_is_read(how: dict[str, Any], make_video: MakeVideo) -> None:
    """Forty bytes that mean something to the recorder alone."""
    path = make_video(**how, frames=40)
    path.write_bytes(b"IMKH" + bytes(range(1, 37)) + path.read_bytes())
    assert sum(1 for _ in ChunkDecoder(path, Chunk(0, None, None))) == 40


def assert_read(path: Path, at_least: int) -> None:
    head = path.read_bytes()[:ENOUGH]
    container = container_of(head)
    assert container is not None
    plain = path.with_name("without a suffix")
    plain.write_bytes(path.read_bytes())
    if container.demuxer != "mjpeg":  # it takes the first picture for all
        with av.open(str(plain)) as opened:
            assert container.demuxer in opened.format.name.split(",")
    assert at_least <= sum(1 for _ in ChunkDecoder(plain, Chunk(0, None, None))) <= 12
