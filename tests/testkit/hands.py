"""Somebody who puts right whatever numbers say: any sequence of what may happen to a gallery."""

from hypothesis import strategies as st

from castlist.contract.commands import WithdrawObjection
from castlist.store.records.change_history import ChangeRecord
from testkit.corrected_gallery import CorrectedGallery

VALUES = (0.0, 0.1, 0.3, 0.5, 0.7, 5.0, 5.1, 9.0)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["video", "video", "redo", "name", "card", "merge", "split", "move", "reject", "no face", "delete", "there",
             "enrol", "object", "withdraw", "undo", "undo", "delete video", "restart"]
        ),
        st.integers(0, 1_000),
        st.integers(0, 1_000),
    ),
    max_size=16,
)  # fmt: skip


class Hands:
    """Somebody who does whatever numbers say, with whatever there is."""

    def __init__(self, gallery: CorrectedGallery) -> None:
        self.gallery = gallery
        self.epochs: dict[str, int] = {}
        self.changes: list[str] = []
        self._videos = 0

    async def do(self, step: str, one: int, other: int) -> None:
        gallery = self.gallery
        profiles = sorted(await gallery.servers.stored.profiles.ids())
        if step == "video" or not profiles:
            self._videos += 1
            await self._video(f"v{self._videos}", one, other)
        elif step == "redo" and self.epochs:
            await self._video(sorted(self.epochs)[one % len(self.epochs)], one, other)
        elif step == "restart":
            gallery.start()
        elif step == "delete video" and self.epochs:
            video = sorted(self.epochs)[one % len(self.epochs)]
            del self.epochs[video]
            await gallery.delete_video(video)
        elif step == "undo" and self.changes:
            self._note(await gallery.undo(self.changes[one % len(self.changes)]))
        else:
            self._note(await self._correct(step, profiles, one, other))

    async def _video(self, video: str, one: int, other: int) -> None:
        self.epochs[video] = self.epochs.get(video, 0) + 1
        people = {0: VALUES[one % len(VALUES)], 1: VALUES[other % len(VALUES)]}
        if other % 5 == 0:
            del people[1]
        if one % 11 == 0:
            del people[0]
        await self.gallery.video(video, people, self.epochs[video])

    async def _correct(self, step: str, profiles: list[str], one: int, other: int) -> ChangeRecord:
        gallery = self.gallery
        if step == "enrol":
            return await gallery.enrol(f"name {other % 3}", *(VALUES[n % len(VALUES)] for n in (one, other)))
        profile, second = profiles[one % len(profiles)], profiles[other % len(profiles)]
        videos = await gallery.videos_of(profile) or ["none"]  # who is known by a picture may be in none
        match step:
            case "name":
                return await gallery.card(profile, name=f"name {other % 3}")
            case "card":
                return await gallery.card(profile, notes=f"notes {other}", hidden=bool(other % 2))
            case "merge":
                return await gallery.merge(profile, second)
            case "split":
                return await gallery.split(profile, *videos[: 1 + other % 2])
            case "move":
                return await gallery.split(profile, videos[other % len(videos)], into=second)
            case "object":
                return await gallery.object(profile if other % 2 else VALUES[one % len(VALUES)])
            case "withdraw":
                found = await gallery.servers.stored.objections.ids()
                objection = sorted(found)[one % len(found)] if found else "none"
                return await gallery.order(WithdrawObjection, objection_id=objection)
            case "delete":
                return await gallery.delete(profile, erase=other % 3 == 0)
            case "there":
                there = sorted(self.epochs) or ["none"]
                return await gallery.presence(profile, there[other % len(there)], 1.0, 2.0)
            case _:
                reason = "not_a_face" if step == "no face" else "not_this_person"
                return await gallery.reject(profile, videos[other % len(videos)], reason)

    def _note(self, change: ChangeRecord) -> None:
        assert change.status != "pending"
        assert change.error is None or change.error.code != "internal"
        self.changes.append(change.id)
