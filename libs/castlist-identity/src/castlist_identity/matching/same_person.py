"""How likely two are one person at a normalised distance: the share of such pairs that are, as it was counted."""

import numpy as np

from castlist_identity.nearest.isolation import Scale

OF_PICTURES = Scale(0.60, 0.55, 0.77)
"""Distances of the encoding of a picture's face from profiles' means, which are shorter than D."""
# bench/suggestions.py
_CLUSTERS = (0.48, 0.52, 0.56, 0.59, 0.61, 0.63, 0.65, 0.68)
_LIKENESS = (0.999, 0.985, 0.96, 0.90, 0.60, 0.25, 0.10, 0.02)
# bench/search_likeness.py
_PICTURES = (0.44, 0.48, 0.50, 0.52, 0.54, 0.56, 0.58, 0.62)
_PICTURES_LIKENESS = (0.999, 0.97, 0.88, 0.55, 0.25, 0.12, 0.05, 0.01)


def likeness(normalised_distance: float) -> float:
    """The share of pairs of profiles at this normalised D that are one person."""
    return float(np.interp(normalised_distance, _CLUSTERS, _LIKENESS))


def picture_likeness(normalised_distance: float) -> float:
    """The share of pairs of a picture's face and a profile at this normalised distance that are one person."""
    return float(np.interp(normalised_distance, _PICTURES, _PICTURES_LIKENESS))
