"""The servers of the local stack: fetched as packages, compared with a lock, described as processes."""
