"""Wrappers of this package: frames, rewards as they were earned, lives in Atari games."""
