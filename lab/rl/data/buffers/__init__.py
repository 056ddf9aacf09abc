"""Replay buffers, and how they are sampled: uniformly, by priority, over several steps, with new goals, in sequences."""
