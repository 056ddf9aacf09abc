"""Offline reinforcement learning: agents that learn from recorded episodes alone."""
