"""Who in a gallery is nearest to a face."""
