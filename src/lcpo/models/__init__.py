"""Models that this project makes: one folder each, with how it is built and its shipped weights."""
