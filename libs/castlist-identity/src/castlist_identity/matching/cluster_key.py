"""What a cluster is called within a gallery in memory."""

from castlist_identity.matching.crowd_sample import rank


def cluster_key(cluster: tuple[str, ...]) -> str:
    """The key of whoever of it ranks lowest.

    All who follow a cluster are looked at when it is called otherwise. By its smallest key each newcomer could bring
    that about, where ids count downwards; of a crowd of K one in K ranks lowest, in whatever order they come.
    """
    return cluster[0] if len(cluster) == 1 else min(cluster, key=lambda key: (rank(key), key))
