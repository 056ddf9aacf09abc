"""Replay buffers, sampled uniformly, by priority, over several steps, with new goals, or in sequences."""
