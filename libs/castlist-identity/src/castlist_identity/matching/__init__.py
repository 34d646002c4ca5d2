"""Who is one person across videos: a function of the set of persons, in two stages."""
