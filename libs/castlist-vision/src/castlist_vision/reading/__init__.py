"""From a file to its frames: what it holds, how it is cut, and its pictures with their true times."""
