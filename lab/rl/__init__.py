"""Reinforcement learning: environments, collection and replay, evaluation, and one file per algorithm."""
