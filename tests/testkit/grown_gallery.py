"""A gallery that grows by commits, for tests that hold it against everybody at once."""

from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.gallery_diff import GalleryChange, GalleryDiff


class GrownGallery:
    """Every change is proposed and applied; ids say with which commit they came."""

    def __init__(self, gallery: Gallery) -> None:
        self.gallery = gallery
        self.commits = 0

    def commit(self, change: GalleryChange, bound: int | None = None) -> GalleryDiff:
        self.commits += 1
        made = self.gallery.propose(change, lambda key: f"{self.commits}-{key}", self.commits, bound)
        self.gallery.apply(made)
        return made

    @property
    def profiles(self) -> list[tuple[str, ...]]:
        """The persons of each, sorted."""
        return sorted(tuple(sorted(keys)) for keys in self.gallery.persons.values())
