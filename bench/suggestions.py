"""How many of the profiles that are suggested to be one person are: the share by normalised distance.

    python bench/suggestions.py [--sizes 60,200,1000,5000] [--persons 5000] [--seed 1]

Synthetic strangers, years apart from video to video (encodings_of_people.py), are put in order as a gallery does it.
Then each of the profiles is compared with its nearest others that it was not seen with. The table has the shares that
`castlist_identity.matching.same_person` has, beside what it says itself. The last line is one JSON object.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from encodings_of_people import COLLECTIONS
from gallery import Drawn

from castlist_identity.clustering.cluster_summary import summary
from castlist_identity.galleries.suggestions import nearest_others
from castlist_identity.matching.partition import partition
from castlist_identity.matching.same_person import likeness
from castlist_identity.nearest.isolation import normalised
from castlist_identity.nearest.nearest_clusters import NearestClusters

EDGES = (0.56, 0.58, 0.59, 0.60, 0.61, 0.62, 0.63, 0.64, 0.66, 0.68)


def pairs(size: int, seed: int) -> Iterator[tuple[float, bool]]:
    """(normalised D, whether they are one person) of pairs of profiles."""
    drawn = Drawn.of(size, seed, 1.0, COLLECTIONS["strangers"])
    member = {one.key: one for one in drawn.members}
    groups = {group[0]: group for group in partition(drawn.members, drawn.auto)}
    profile_of = {key: profile for profile, group in groups.items() for key in group}
    who = {
        profile: Counter(drawn.truth[key] for key in group).most_common(1)[0][0] for profile, group in groups.items()
    }
    points = [summary(profile, [member[key] for key in group]) for profile, group in groups.items()]
    nearest = NearestClusters().change(added=points)
    compared = set[tuple[str, ...]]()
    for profile, group in groups.items():
        apart = {profile_of[other] for key in group for other in member[key].apart}
        for distance, other in nearest_others(profile, nearest, apart):
            pair = tuple(sorted((profile, other)))
            if pair not in compared:
                compared.add(pair)
                measured = normalised(distance, nearest.isolation(profile), nearest.isolation(other))
                yield measured, who[profile] == who[other]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="60,200,1000,5000")
    parser.add_argument("--persons", type=int, default=5000, help="of all galleries of one size together")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    sizes = [int(size) for size in args.sizes.split(",")]
    shares: dict[int, list[tuple[float, bool]]] = {}
    for size in sizes:
        galleries = max(1, args.persons // size)
        shares[size] = [pair for i in range(galleries) for pair in pairs(size, args.seed + i)]
    print(f"{'normalised D':>14}{'said':>7}" + "".join(f"{size:>16}" for size in sizes))
    for low, high in pairwise(EDGES):
        row: dict[str, float] = {}
        cells = ""
        for size in sizes:
            there = [one for distance, one in shares[size] if low <= distance < high]
            if there:
                row[str(size)] = round(float(np.mean(there)), 3)
            cells += f"{f'{np.mean(there):.3f} of {len(there)}' if there else '-':>16}"
        said = likeness((low + high) / 2)
        print(f"{low:7} - {high:4}{said:7.2f}{cells}", flush=True)
        results[f"{low}-{high}"] = {"said": round(said, 3), **row}
    print(json.dumps(results))


if __name__ == "__main__":
    main()
