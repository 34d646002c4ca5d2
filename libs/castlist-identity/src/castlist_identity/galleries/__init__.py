"""A gallery as it is kept: what a change makes of its clusters, profiles and ids."""
