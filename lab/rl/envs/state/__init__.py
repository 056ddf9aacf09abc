"""The state of an environment in the middle of an episode, as plain values."""
