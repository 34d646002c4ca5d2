"""The contact sheet's HTML."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

from castlist.api.appearances import Appearance, CropPicture
from castlist.api.profiles import Profile
from castlist.api.videos import Video
from castlist.contract.box import Box
from castlist.contract.values import FrameSize, Segment
from castlist_client.display import contact_sheet_html

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
EVIL = "\"><script>alert('x')</script>&amp;<img src=x onerror=alert(1)>"


def appearance(video: str, *spans: tuple[float, float], name: str | None = None) -> Appearance:
    """A person in `video` during `spans`."""
    crop = CropPicture(
        url=f"/crops/{video}",
        time=spans[0][0],
        box=Box(left=1, top=1, width=9, height=9),
        frame=FrameSize(width=640, height=480),
        quality=0.9,
    )
    return Appearance(
        video_id=video,
        video_name=name or f"{video}.mp4",
        first_seen=spans[0][0],
        last_seen=spans[-1][1],
        seconds=sum(end - start for start, end in spans),
        faces=7,
        segments=[Segment(start=start, end=end) for start, end in spans],
        crop=crop,
    )


def profile(*appearances: Appearance, name: str | None = None, id: str = "0123456789abcdef") -> Profile:
    """A person with these appearances."""
    return Profile(
        id=id, gallery="g", name=name, created_at=NOW, updated_at=NOW,
        video_count=len(appearances), appearances=list(appearances),
    )  # fmt: skip


def video(id: str, duration: float) -> Video:
    """A probed video."""
    return Video(
        id=id, gallery="g", name=f"{id}.mp4", bytes=1, sha256=None, duration=duration, width=640, height=480,
        frame_rate=25, recorded_at=None, external_id=None, latest_task_id="t", created_at=NOW,
    )  # fmt: skip


class Elements(HTMLParser):
    """What a browser would make of a page: its elements, and whether they nest."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, Any]]:
        return [attributes for name, attributes in self.found if name == tag]


def whole(*rows: str, gallery: str = "g") -> Elements:
    """A page of these rows."""
    return Elements(contact_sheet_html.head(gallery, len(rows), 2, 3, NOW) + "".join(rows) + contact_sheet_html.TAIL)


def test_the_page_is_whole_and_loads_nothing() -> None:
    """Every element is closed, every picture is inside, and nothing is fetched or run."""
    ann = contact_sheet_html.person(
        profile(appearance("a", (0, 2)), name="Ann"), [appearance("a", (0, 2))], {"/crops/a": b"jpg"}, {}
    )
    elements = whole(ann)
    assert elements.open == []
    assert [image["src"] for image in elements.all("img")] == ["data:image/jpeg;base64,anBn"]
    assert not {"script", "link", "iframe", "object", "a"} & {name for name, _ in elements.found}
    policy = next(meta["content"] for meta in elements.all("meta") if "http-equiv" in meta)
    assert "default-src 'none'" in policy


def test_everything_from_outside_is_escaped() -> None:
    """Names of people, videos and galleries are text and nothing else, in attributes too."""
    there = appearance("a", (0, 2), name=EVIL)
    elements = whole(contact_sheet_html.person(profile(there, name=EVIL), [there], {}, {}), gallery=EVIL)
    assert elements.open == []
    assert not {"script", "img"} & {name for name, _ in elements.found}
    assert not any("onerror" in attributes for _, attributes in elements.found)
    assert EVIL in elements.text
    assert EVIL in [b.get("title") for b in elements.all("b")]


def test_a_row_a_person_and_a_crop_a_video() -> None:
    """Each with its moments, the videos in the order of their names; an unnamed person goes by the short id."""
    there = [appearance("b", (0.4, 9.1), (27.8, 31)), appearance("a", (1, 2))]
    elements = whole(contact_sheet_html.person(profile(*there), there, {"/crops/a": b"1", "/crops/b": b"2"}, {}))
    assert len(elements.all("section")) == 1
    assert [b["title"] for b in elements.all("b")] == ["a.mp4", "b.mp4"]
    assert "0:00.4–0:09.1" in elements.text
    assert "0:27.8–0:31.0" in elements.text
    assert "01234567" in elements.text


def test_the_bar_is_as_long_as_the_video() -> None:
    """Segments lie where they are in the video, also when its duration is not known."""
    there = appearance("a", (10, 20))
    row = contact_sheet_html.person(profile(there), [there], {}, {"a": video("a", 40)})
    assert "left:25.00%;width:25.00%" in row
    assert "left:50.00%;width:50.00%" in contact_sheet_html.person(profile(there), [there], {}, {})


def test_a_crop_that_is_gone_leaves_an_empty_frame() -> None:
    """The appearance and its moments stay."""
    there = appearance("a", (10, 20))
    elements = whole(contact_sheet_html.person(profile(there), [there], {}, {}))
    assert elements.all("img") == []
    assert "no picture" in elements.text


def test_an_empty_gallery_says_so() -> None:
    """Rather than an empty page."""
    assert "Nobody" in whole().text
