"""What other settings would make of a gallery is said, and nothing is changed."""

from typing import Any

from castlist.contract.commands import PreviewSettings
from castlist.contract.values import AnalysisSettings
from castlist.store.records.change_history import ChangeRecord
from testkit.corrected_gallery import CorrectedGallery, G
from testkit.faults import Faults, at_every_moment

SETTINGS = AnalysisSettings()


async def people(faults: Faults | None = None) -> CorrectedGallery:
    """Two who are 0.6 apart, each in two videos."""
    gallery = CorrectedGallery(faults)
    for number, value in enumerate((0.0, 0.02, 0.6, 0.62)):
        await gallery.video(f"v{number}", {0: value})
    await gallery.settle()
    return gallery


async def preview(gallery: CorrectedGallery, distance: float) -> ChangeRecord:
    """What a distance would make of it, once that is known."""
    asked = await gallery.order(PreviewSettings, settings=SETTINGS, across_video_distance=distance)
    await gallery.settle()
    change = await gallery.servers.stored.changes.get(asked.id)
    assert change is not None
    return change


async def state(gallery: CorrectedGallery) -> dict[str, Any]:
    """All that is stored, but the changes and the log."""
    left = await gallery.servers.left(without=("changes", "previews"))
    return {"documents": left["documents"], "events": left["events"]["profile.events"]}


async def test_who_would_merge_or_fall_apart_is_named_and_nothing_changes() -> None:
    """With a larger distance the two are one; with a small one each falls apart; with theirs nothing happens."""
    gallery = await people()
    ann, bea = await gallery.of("v0"), await gallery.of("v2")
    before = await state(gallery)
    wider = await preview(gallery, 0.7)
    assert (wider.kind, wider.status, wider.error) == ("preview_settings", "applied", None)
    assert wider.detail["profiles"] == {"now": 2, "then": 1}
    assert (wider.detail["merges"], wider.detail["merged"]) == (1, [sorted((ann, bea))])
    assert (wider.detail["splits"], wider.detail["split"]) == (0, [])
    assert wider.detail["distance"]["then"] == 0.7
    narrower = await preview(gallery, 0.001)
    assert narrower.detail["profiles"] == {"now": 2, "then": 4}
    assert narrower.detail["split"] == sorted(
        ({"profile": one, "into": 2} for one in (ann, bea)), key=lambda one: str(one["profile"])
    )
    assert (await preview(gallery, 0.46)).detail["profiles"] == {"now": 2, "then": 2}
    asked = await gallery.order(PreviewSettings, settings=AnalysisSettings(smallest_face=30))
    await gallery.settle()
    other = await gallery.servers.stored.changes.get(asked.id)
    assert other is not None
    assert (other.status, other.detail["profiles"]) == ("applied", {"now": 2, "then": 2})
    assert await state(gallery) == before
    assert await gallery.servers.stored.previews.ids() == []


async def test_a_preview_survives_a_fault_at_every_moment() -> None:
    """It is worked out again, and told once."""

    async def scenario(faults: Faults) -> dict[str, Any]:
        gallery = await people(faults)
        faults.begin()
        return (await preview(gallery, 0.7)).detail

    assert await at_every_moment(scenario) > 3


async def test_a_preview_holds_up_no_commit() -> None:
    """It does not wait with what changes a gallery: that is settled while it is worked out."""
    gallery = await people()
    await gallery.order(PreviewSettings, settings=SETTINGS, across_video_distance=0.7)
    assert await gallery.servers.stored.pending.ids() == []
    assert await gallery.servers.stored.previews.count() == 1
    await gallery.video("v5", {0: 0.01})
    assert await gallery.servers.stored.galleries.get(G) is not None
    assert await gallery.task_status("v5", 1) == "done"
