"""The tiny reasoner: its shipped weights."""
