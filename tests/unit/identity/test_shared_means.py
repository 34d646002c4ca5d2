"""The means of clusters: of who is alone in one the person's own row."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from castlist_identity.clustering.person_rows import PersonRows, stacked
from castlist_identity.domain import GalleryPerson
from castlist_identity.galleries.gallery import Gallery
from castlist_identity.galleries.gallery_diff import GalleryChange
from castlist_identity.galleries.profile_ids import Profile
from castlist_identity.nearest.shared_means import SharedMeans


def person(key: str, number: float) -> GalleryPerson:
    return GalleryPerson(key, key, np.full(128, number, np.float32), 0.01)


def put(means: SharedMeans, rows: list[int], *points: GalleryPerson) -> None:
    means.put(np.array(rows, np.int64), [one.key for one in points], stacked(points)[0])


@given(
    st.lists(
        st.dictionaries(st.integers(0, 7), st.tuples(st.sampled_from("abcd"), st.sampled_from([0.25, 0.5]))), max_size=6
    )
)
def test_rows_have_what_was_put_there_last(steps: list[dict[int, tuple[str, float]]]) -> None:
    """Whether a point is its person or not, and whatever had the row before."""
    persons = PersonRows()
    persons.add([person("a", 0.25), person("b", 0.5)])
    means, known = SharedMeans(persons), dict[int, float]()
    for step in steps:
        if again := sorted(step.keys() & known.keys()):
            means.forget(np.array(again))
        put(means, [*step], *(person(key, number) for key, number in step.values()))
        known |= {row: number for row, (_, number) in step.items()}
        assert means[np.array([*known], np.int64)].tolist() == [[number] * 128 for number in known.values()]


def test_a_row_that_was_given_up_is_used_again() -> None:
    """So a cluster that comes and goes for ever takes what one does."""
    means = SharedMeans(PersonRows())
    for _ in range(100):
        put(means, [3], person("a", 0.25))
        means.forget(np.array([3]))
    assert means.own < 20


def test_nothing_is_left_of_who_is_gone() -> None:
    """Whose encoding was erased may not lie about in memory."""
    persons, means = PersonRows(), SharedMeans(PersonRows())
    (row,) = persons.add([person("a", 0.25)])
    persons.remove(["a"])
    put(means, [3], person("a", 0.25))
    means.forget(np.array([3]))
    assert not persons.means[np.array([row])].any()
    assert not means[np.array([3])].any()


def test_who_is_alone_in_a_cluster_takes_no_second_encoding() -> None:
    """Of a gallery's clusters those have means of their own that hold more than one, before and after a commit."""
    gallery = Gallery(0.46)
    alone = [(person(f"p{n}", n), f"profile{n}") for n in range(50)]
    both = [(person(key, 90.0), "both") for key in ("x", "y")]
    gallery.load([*alone, *both], [Profile(profile, one.key, 1) for one, profile in [*alone, both[0]]])
    another = GalleryChange(removed=frozenset({"p7"}), inserted=(person("p50", 70.5), person("p51", 80.5)))
    for count in (51, 52):
        assert len(gallery.clusters) == count
        assert gallery.nearest.means.own <= 16
        assert {key: gallery.nearest.point(key).mean[0] for key in gallery.clusters} == {
            key: gallery.members[key].mean[0] for key in gallery.clusters
        }
        if count == 51:
            gallery.apply(gallery.propose(another, "profile of {}".format, 2))
