"""The list: every format that is read, by what its files begin with, what they are called, and what opens them.

As wide as what FFmpeg demuxes, without what could make it open other files or addresses (playlists, manifests, picture
sequences, formats in several files) and without single pictures. A file is opened by the demuxer that this list says,
so that what is taken in and what is read are the same.
"""

from dataclasses import dataclass

from castlist.media.first_bytes import (
    Recogniser,
    all_of,
    any_of,
    bare,
    begins,
    chunked,
    is_animated_png,
    is_av1_annex_b,
    is_av1_units,
    is_chinese_avs,
    is_h261,
    is_h263,
    is_h264,
    is_hevc,
    is_motion_jpeg,
    is_mpeg4_video,
    is_mpeg_ps,
    is_mpeg_ts,
    is_mpeg_video,
    is_mxf_behind_run_in,
    is_vc1,
    is_vvc,
)
from castlist.media.other_files import is_other

ENOUGH = 256 * 1024
"""So many first bytes decide."""

_MP4_BOXES = (
    *(b"ftyp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"sidx", b"uuid", b"junk"),
    *(b"udta", b"prfl", b"pict", b"PICT"),
)


@dataclass(frozen=True, slots=True)
class Container:
    """A format. `demuxer` is FFmpeg's name for what opens it; `suffixes` are those that its files go by."""

    name: str
    demuxer: str
    media_type: str
    suffixes: tuple[str, ...]
    is_in: Recogniser


def _listed(name: str, demuxer: str, media_type: str, suffixes: str, is_in: Recogniser) -> Container:
    return Container(name, demuxer, media_type, tuple(f".{suffix}" for suffix in suffixes.split()), is_in)


def _by_its_magic(name: str, demuxer: str, suffixes: str, is_in: Recogniser) -> Container:
    return _listed(name, demuxer, f"video/x-{demuxer}", suffixes, is_in)


# These begin like a single picture.
_MOVING_PICTURES = (
    _listed("animated PNG", "apng", "image/apng", "apng", is_animated_png),
    _listed("bare Motion JPEG", "mjpeg", "video/x-motion-jpeg", "mjpeg mjpg", is_motion_jpeg),
)
# The loosest signs last. Names that much else goes by (.ts, .mod, .dat, .vb) are not in the list: the content tells.
_OTHERS = (
    _listed("QuickTime", "mov", "video/quicktime", "mov qt", any_of(
        begins(b"ftypqt  ", at=4), begins(*(box for box in _MP4_BOXES if box != b"ftyp"), at=4))),
    _listed("MP4", "mov", "video/mp4", "mp4 m4v 3gp 3g2 3gpp f4v ismv mj2 insv lrv", begins(b"ftyp", at=4)),
    _listed("Matroska or WebM", "matroska", "video/x-matroska", "mkv webm mk3d", begins(b"\x1aE\xdf\xa3")),
    _listed("AVI", "avi", "video/x-msvideo", "avi divx amv", any_of(
        chunked(b"RIFF", b"AVI ", b"AVIX", b"AVI\x19", b"AMV "), chunked(b"ON2 ", b"ON2f"))),
    _listed("Flash video", "flv", "video/x-flv", "flv", begins(b"FLV\x01")),
    _listed("GIF", "gif", "image/gif", "gif", begins(b"GIF87a", b"GIF89a")),
    _listed("Ogg", "ogg", "video/ogg", "ogv ogm ogx", begins(b"OggS")),
    _listed("ASF or Windows Media", "asf", "video/x-ms-asf", "wmv asf dvr-ms",
        begins(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11")),
    _listed("MXF", "mxf", "application/mxf", "mxf", any_of(
        begins(b"\x06\x0e\x2b\x34\x02\x05\x01\x01"), is_mxf_behind_run_in)),
    _listed("RealMedia", "rm", "application/vnd.rn-realmedia", "rm rmvb", begins(b".RMF")),
    _listed("IVF", "ivf", "video/x-ivf", "ivf", begins(b"DKIF")),
    _listed("DV", "dv", "video/x-dv", "dv", begins(b"\x1f\x07\x00\x3f", b"\x1f\x07\x00\xbf")),
    _listed("Shockwave Flash", "swf", "application/x-shockwave-flash", "swf", any_of(
        *(begins(kind + bytes([version])) for kind in (b"FWS", b"CWS") for version in range(3, 44)))),
    _by_its_magic("RealMedia recording", "ivr", "ivr", begins(b".R1M\x00\x01\x01", b".REC\x00")),
    _by_its_magic("NUT", "nut", "nut", begins(b"nut/multimedia container\x00")),
    _by_its_magic("YUV4MPEG2", "yuv4mpegpipe", "y4m", begins(b"YUV4MPEG2")),
    _by_its_magic("GXF", "gxf", "gxf", begins(b"\x00\x00\x00\x00\x01\xbc")),
    _by_its_magic("Windows television recording", "wtv", "wtv",
        begins(b"\xb7\xd8\x00\x20\x37\x49\xda\x11\xa6\x4e\x00\x07\xe9\x5e\xad\x8d")),
    _by_its_magic("TiVo recording", "ty", "", begins(b"\xf5\x46\x7a\xbd\x00\x00\x00\x02")),
    _by_its_magic("television recording (PVA)", "pva", "pva", all_of(
        begins(b"AV\x01", b"AV\x02"), begins(b"\x55", at=4))),
    _by_its_magic("NuppelVideo", "nuv", "nuv", begins(b"NuppelVideo\x00", b"MythTVVideo\x00")),
    _by_its_magic("Nullsoft video", "nsv", "nsv", begins(b"NSVf", b"NSVs")),
    _by_its_magic("Dahua recording", "dhav", "dav",
        begins(b"DAHUA", b"DHAV\xf0", b"DHAV\xf1", b"DHAV\xfc", b"DHAV\xfd")),
    _by_its_magic("camera recording (HXVS)", "hxvs", "", begins(b"HXVS", b"HXVT")),
    _by_its_magic("recorder's IFV", "ifv", "ifv",
        begins(b"\x11\xd2\xd3\xab\xba\xa9\xcf\x11\x8e\xe6\x00\xc0\x0c\x20\x53\x65\x44")),
    _by_its_magic("IndigoVision recording", "iv8", "", begins(b"\x01\x01\x03\xb8\x80\x60")),
    _by_its_magic("recorder's DAT", "luodat", "", begins(b"luo ")),
    _by_its_magic("camera feed (NC)", "nc", "", begins(b"\x00\x00\x01\xa5")),
    _by_its_magic("video server's LXF", "lxf", "lxf", begins(b"LEITCH\x00\x00")),
    _by_its_magic("RED", "r3d", "r3d", begins(b"RED1", at=4)),
    _by_its_magic("high-speed camera's Cine", "cine", "cine", begins(b"CI\x2c\x00")),
    _by_its_magic("telescope camera's SER", "ser", "ser", begins(b"LUCAM-RECORDER")),
    _by_its_magic("Motion JPEG with a header", "smjpeg", "smjpeg", begins(b"\x00\x0aSMJPEG")),
    _by_its_magic("KUX", "kux", "kux", begins(b"KDK\x00\x00")),
    _by_its_magic("Vividas", "vividas", "viv", begins(b"vividas03")),
    _by_its_magic("PlayStation Portable's PMP", "pmp", "pmp", begins(b"pmpm\x01\x00\x00\x00")),
    _by_its_magic("Playdate video", "pdv", "pdv", begins(b"Playdate VID\x00\x00\x00\x00")),
    _by_its_magic("Animator's FLIC", "flic", "fli flc", all_of(
        begins(b"\x11\xaf", b"\x12\xaf", at=4), begins(b"\x08\x00", b"\x00\x00", at=12))),
    _by_its_magic("Bink", "bink", "bik bk2", any_of(
        *(begins(b"BIK" + letter) for letter in (b"b", b"f", b"g", b"h", b"i", b"k")),
        *(begins(b"KB2" + letter) for letter in (b"a", b"d", b"f", b"g", b"h", b"i", b"j", b"k")))),
    _by_its_magic("Smacker", "smk", "smk", begins(b"SMK2", b"SMK4")),
    _by_its_magic("RoQ", "roq", "roq", begins(b"\x84\x10\xff\xff\xff\xff")),
    _by_its_magic("Westwood VQA", "wsvqa", "vqa", chunked(b"FORM", b"WVQA")),
    _by_its_magic("Wing Commander movie", "wc3movie", "mve", chunked(b"FORM", b"MOVE")),
    _by_its_magic("RL2", "rl2", "rl2", chunked(b"FORM", b"RLV2", b"RLV3")),
    _by_its_magic("Amiga animation", "iff", "", chunked(b"FORM", b"ANIM")),
    _by_its_magic("GameCube's THP", "thp", "thp", begins(b"THP\x00")),
    _by_its_magic("Sega FILM", "film_cpk", "cpk", begins(b"FILM")),
    _by_its_magic("Interplay movie", "ipmovie", "mve", begins(b"Interplay MVE File\x1a\x00\x1a")),
    _by_its_magic("BFI", "bfi", "bfi", begins(b"BF&I")),
    _by_its_magic("Bethesda's VID", "bethsoftvid", "", begins(b"VID\x00")),
    _by_its_magic("Silicon Graphics movie", "mv", "", begins(b"MOVI\x00\x00\x00\x03", b"MOVI\x00\x00\x00\x02")),
    _by_its_magic("Packed Animation File", "paf", "paf", begins(b"Packed Animation File V1.0\n")),
    _by_its_magic("ARMovie", "rpl", "rpl", begins(b"ARMovie\n")),
    _by_its_magic("SIFF", "siff", "", chunked(b"SIFF", b"VBV1")),
    _by_its_magic("LucasArts Smush", "smush", "", any_of(chunked(b"ANIM", b"AHDR"), chunked(b"SANM", b"SHDR"))),
    _by_its_magic("Cryo HNM", "hnm", "hnm", begins(b"HNM4")),
    _by_its_magic("4X movie", "4xm", "4xm", chunked(b"RIFF", b"4XMV")),
    _by_its_magic("Chronomaster DFA", "dfa", "dfa", begins(b"DFIA")),
    _by_its_magic("Bitmap Brothers' JV", "jv", "jv", begins(b"JV00 Compression by John M Phillips")),
    _by_its_magic("Gremlin video", "gdv", "gdv", begins(b"\x94\x19\x11\x29")),
    _by_its_magic("Electronic Arts movie", "ea", "", begins(b"SCHl", b"MVhd", b"MADk", b"MPCh", b"kVGT", b"pIQT")),
    _by_its_magic("ScummVM's DXA", "dxa", "dxa", begins(b"DEXA")),
    _by_its_magic("CRI's USM", "usm", "usm", begins(b"CRID")),
    _by_its_magic("MobiClip", "mods", "mods", begins(b"MODSN3\x0a\x00")),
    _by_its_magic("PlayStation 2's IPU", "ipu", "ipu", begins(b"ipum")),
    _by_its_magic("Xbox's XMV", "xmv", "xmv", begins(b"xobX", at=12)),
    _by_its_magic("8088flex movie", "tmv", "tmv", begins(b"TMAV")),
    _by_its_magic("Deluxe Paint animation", "anm", "", all_of(begins(b"LPF "), begins(b"ANIM", at=16))),
    _by_its_magic("AV1 units", "obu", "obu", is_av1_units),
    _by_its_magic("AV1 units, Annex B", "av1", "", is_av1_annex_b),
    _by_its_magic("bare Dirac or VC-2", "dirac", "drc vc2", begins(b"BBCD")),
    _by_its_magic("bare APV", "apv", "apv", begins(b"aPv1", at=4)),
    _by_its_magic("bare DNxHD", "dnxhd", "dnxhd dnxhr",
        begins(b"\x00\x00\x02\x80\x01", b"\x00\x00\x02\x80\x02", b"\x00\x00\x02\x80\x03")),
    _by_its_magic("VC-1 with a header", "vc1test", "rcv", begins(b"\xc5\x04\x00\x00\x00", at=3)),
    _listed("MPEG programme stream", "mpeg", "video/mpeg", "mpg mpeg mpe vob evo vro m2p", is_mpeg_ps),
    _listed("bare MPEG-1 or MPEG-2", "mpegvideo", "video/mpeg", "m1v m2v mpv m2b", bare(is_mpeg_video)),
    _listed("bare MPEG-4 part 2", "m4v", "video/mp4v-es", "mp4v", bare(is_mpeg4_video)),
    _listed("bare AVS", "cavsvideo", "video/x-cavs", "cavs", bare(is_chinese_avs)),
    _listed("bare VC-1", "vc1", "video/vc1", "vc1", bare(is_vc1)),
    _listed("bare H.261", "h261", "video/h261", "h261 261", is_h261),
    _listed("bare H.263", "h263", "video/h263", "h263 263", is_h263),
    _listed("bare H.266", "vvc", "video/h266", "vvc h266 266", bare(is_vvc)),
    _listed("bare H.265", "hevc", "video/h265", "hevc h265 265", bare(is_hevc)),
    _listed("bare H.264", "h264", "video/h264", "h264 264 h26l", bare(is_h264)),
    _listed("MPEG transport stream", "mpegts", "video/mp2t", "m2ts mts m2t trp tod", is_mpeg_ts),
)  # fmt: skip

CONTAINERS = (*_MOVING_PICTURES, *_OTHERS)
SUFFIXES = frozenset(suffix for container in CONTAINERS for suffix in container.suffixes)


def container_of(head: bytes) -> Container | None:
    """What a file that begins with `head` is opened as, or None if it is no video that is read."""
    among = _MOVING_PICTURES if is_other(head) else CONTAINERS
    return next((container for container in among if container.is_in(head)), None)
