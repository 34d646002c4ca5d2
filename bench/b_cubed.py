"""How well clusters go with who is who: B-cubed, precision and recall per person, averaged."""

from collections import Counter

Clusters = list[tuple[str, ...]]


def b_cubed(clusters: Clusters, truth: dict[str, int]) -> tuple[float, float]:
    """Precision and recall."""
    people = Counter(truth.values())
    precision = recall = 0.0
    for cluster in clusters:
        for who, count in Counter(truth[key] for key in cluster).items():
            precision += count * count / len(cluster)
            recall += count * count / people[who]
    return precision / len(truth), recall / len(truth)
